"""What a gateway opens with: a token where it can be reached from elsewhere, its own address, and tokens read again."""

from pathlib import Path

import pytest

from timer_client.settings import Settings
from timer_gateway.callers import ANYBODY
from timer_gateway.opening import open_access, page_link, read_again
from timer_gateway.settings import GatewaySettings
from timer_gateway.tokens import TokenFileError, Tokens, make_token
from timer_protocol.sender import ALL_RIGHTS
from timer_protocol.settings import SettingError

EVERYWHERE = "0.0.0.0"  # noqa: S104 - nothing is bound


class TestOpening:
    def test_every_reachable_gateway_has_a_token_and_shows_it_once(self, tmp_path: Path) -> None:
        settings = GatewaySettings(host=EVERYWHERE, is_plain=True, tokens=tmp_path / "tokens")
        access, token = open_access(settings, lambda: 0.0)

        assert token is not None
        caller = access.tokens.caller_of(token)
        assert caller is not None
        assert caller.rights == ALL_RIGHTS
        assert page_link(settings, 8080, token) == f"http://localhost:8080/#token={token}"
        again, none = open_access(settings, lambda: 0.0)
        assert none is None
        assert again.tokens.caller_of(token) is not None
        cookie = access.sessions.cookie(caller, None, is_secure=False).partition(";")[0]
        assert again.sessions.session_of(cookie, None, is_encrypted=False) is not None

    def test_loopback_has_none_but_with_a_key_of_its_own(self, tmp_path: Path) -> None:
        path = tmp_path / "tokens"
        access, token = open_access(GatewaySettings(tokens=path), lambda: 0.0)
        assert (access.tokens.anybody, token, path.exists()) == (ANYBODY, None, False)

        keyed = GatewaySettings(client=Settings(curve_client_secret="own.key_secret"), tokens=path)
        access, token = open_access(keyed, lambda: 0.0)
        assert access.tokens.anybody is None
        assert token is not None

    def test_file_that_cannot_be_used_or_made_opens_nothing(self, tmp_path: Path) -> None:
        for host in ("127.0.0.1", EVERYWHERE):
            (tmp_path / "tokens").write_text("half")
            with pytest.raises(TokenFileError, match="its last line has no end"):
                open_access(GatewaySettings(host=host, tokens=tmp_path / "tokens"), lambda: 0.0)
        with pytest.raises(TokenFileError, match="cannot write the tokens in"):
            open_access(GatewaySettings(host=EVERYWHERE, tokens=tmp_path / "none" / "tokens"), lambda: 0.0)

    def test_listed_host_that_is_none_opens_nothing(self, tmp_path: Path) -> None:
        for host in ("timers.example:99999", "[1]"):
            settings = GatewaySettings(host=EVERYWHERE, is_plain=True, hosts=(host,), tokens=tmp_path / "tokens")
            with pytest.raises(SettingError, match=r"TIMER_GATEWAY_HOSTS cannot be used: .* is no host, such as"):
                open_access(settings, lambda: 0.0)
        assert not (tmp_path / "tokens").exists()

    @pytest.mark.parametrize(
        ("settings", "address"),
        [
            (GatewaySettings(host="::", is_plain=True), "http://localhost:80"),
            (GatewaySettings(host="fd00::1", certificate=Path("c")), "https://[fd00::1]:80"),
            (GatewaySettings(host="10.0.0.1", certificate=Path("c"), hosts=("t.example",)), "https://t.example:80"),
            (GatewaySettings(host="10.0.0.1", certificate=Path("c"), hosts=("t.example:9",)), "https://t.example:9"),
            (GatewaySettings(host=EVERYWHERE, is_plain=True, hosts=("t.example",)), "https://t.example"),
            (GatewaySettings(host=EVERYWHERE, is_plain=True, hosts=("127.0.0.1:9",)), "http://127.0.0.1:9"),
        ],
    )
    def test_link_leads_to_where_it_is_reached(self, settings: GatewaySettings, address: str) -> None:
        assert page_link(settings, 80, "x") == f"{address}/#token=x"
        assert page_link(settings, 80) == address

    def test_sighup_logs_names_and_keeps_what_it_cannot_read(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        path = tmp_path / "tokens"
        token, _ = make_token(path, ALL_RIGHTS, name="till")
        tokens = Tokens(path, is_sheltered=False)
        caplog.set_level("INFO", "timer_gateway")

        path.write_text("half")
        assert read_again(tokens) is None
        assert tokens.caller_of(token) is not None
        path.write_text("")
        assert read_again(tokens) is not None
        assert tokens.caller_of(token) is None
        lines = [(record.getMessage(), record.fields) for record in caplog.records]  # type: ignore[attr-defined]
        assert [event for event, _ in lines] == ["tokens not read", "tokens read"]
        assert lines[1][1] == {"tokens": 0, "removed": ["till"]}
