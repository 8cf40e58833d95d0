"""Tokens and sessions: their file, what is wrong with it, who is let in, and what ends that."""

import stat
import threading
from pathlib import Path

import pytest
from click.testing import CliRunner

from timer_gateway.callers import ANYBODY, Caller
from timer_gateway.session_key import key_path, session_key
from timer_gateway.sessions import LIFETIME_S, RENEWED_AFTER_S, Sessions
from timer_gateway.token_commands import token, tokens
from timer_gateway.token_file import digest_of, from_text, to_line
from timer_gateway.tokens import Changes, TokenFileError, Tokens, make_first_token, make_token, read_tokens
from timer_protocol.sender import ALL_RIGHTS, DEFAULT_RIGHTS, Right

READ: frozenset[Right] = frozenset({"read"})
DIGEST, OTHER_DIGEST = digest_of("timer_one"), digest_of("timer_other")
LINE = f"{DIGEST} name=till rights=read,start prefix=shop/\n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "tokens"


def test_line_says_all_that_a_token_may_do() -> None:
    (caller,) = from_text(f"# a remark\n\n{LINE}")

    assert (caller.name, caller.prefix, caller.rights) == ("till", "shop/", {"read", "start"})
    assert caller.digest == DIGEST
    assert to_line(caller) == LINE


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("timer_a_token name=till rights=read\n", "line 1 .*64 hexadecimal digits"),
        (f"\n{DIGEST} name=till\n", "line 2 .*both name=… and rights=…"),
        (f"{DIGEST} rights=read\n", "both name=… and rights=…"),
        (f"{DIGEST} name=till rights=\n", "each once"),
        (f"{DIGEST} name=till rights=read rights=start\n", "each once"),
        (f"{DIGEST} name=till rights=read perfix=shop/\n", "each once"),
        (f"{DIGEST} name=till rights=read, start\n", "each once and without spaces"),
        (f"{DIGEST} name=till rights=read,\n", "'' is no right"),
        (f"{DIGEST} name=till rights=everything\n", "'everything' is no right; rights are read, start"),
        (f"{DIGEST} name=till rights=read prefix=a#b\n", "characters of an id"),
        (f"{DIGEST} name=anybody rights=read\n", "not 'anybody'"),
        (f"{DIGEST.upper()} name=till rights=read\n", "64 hexadecimal digits"),
        (f"{LINE}{OTHER_DIGEST} name=till rights=read\n", "line 2 .*same token or name"),
        (f"{LINE}{DIGEST} name=other rights=read\n", "line 2 .*same token or name"),
    ],
)
def test_what_is_not_understood_lets_nobody_in(text: str, wrong: str) -> None:
    with pytest.raises(ValueError, match=wrong):
        from_text(text)


def test_token_in_place_of_its_hash_is_not_repeated_in_the_log(path: Path) -> None:
    made, _ = make_token(path, READ)
    path.write_text(f"{made} name=till rights=read\n")

    with pytest.raises(TokenFileError) as refused:
        read_tokens(path)
    assert made[-8:] not in str(refused.value)


def test_token_is_known_by_its_hash_alone(path: Path) -> None:
    made, caller = make_token(path, READ, "shop/", "till")

    known = Tokens(path, is_sheltered=False)
    assert len(made) >= len("timer_") + 43, "32 random bytes"
    assert made not in path.read_text()
    assert digest_of(made) in path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert caller.is_same(known.caller_of(made))
    for wrong in ("", made[:-1], made + "x", made.upper(), digest_of(made), "\udcff", made * 1000):
        assert known.caller_of(wrong) is None


def test_names_are_given_and_never_twice(path: Path) -> None:
    assert [make_token(path, READ)[1].name for _ in range(2)] == ["token-1", "token-2"]
    with pytest.raises(TokenFileError, match="'token-2' already"):
        make_token(path, READ, name="token-2")
    assert len(read_tokens(path) or ()) == 2


def test_token_taken_out_is_let_in_no_more_and_others_stay(path: Path) -> None:
    first, first_caller = make_token(path, READ, name="first")
    second, second_caller = make_token(path, READ, name="second")
    known = Tokens(path, is_sheltered=False)
    path.write_text(to_line(second_caller) + to_line(Caller("third", "", READ, OTHER_DIGEST)))

    assert known.lets_in(first_caller), "nothing is read before SIGHUP"
    assert known.reload() == Changes(["third"], ["first"], [])
    assert known.caller_of(first) is None
    assert known.caller_of(second) is not None
    assert not known.lets_in(first_caller)
    assert known.lets_in(second_caller)

    path.write_text(to_line(Caller("second", "shop/", READ, second_caller.digest)))
    assert known.reload() == Changes([], ["third"], ["second"])
    assert not known.lets_in(second_caller), "it may do something else now"


@pytest.mark.parametrize("harm", ["half", "gone", "folder", "bytes", "large"])
def test_tokens_stay_as_they_were_where_the_file_cannot_be_used(path: Path, harm: str) -> None:
    made, _ = make_token(path, READ, "shop/")
    known = Tokens(path, is_sheltered=False)
    whole = path.read_bytes()
    match harm:
        case "half":
            path.write_bytes(whole[:-1])
        case "bytes":
            path.write_bytes(b"\xff\n")
        case "large":
            path.write_bytes(b"#" * 2_000_000 + b"\n")
        case _:
            path.unlink()
            if harm == "folder":
                path.mkdir()

    with pytest.raises(TokenFileError, match=str(path)):
        known.reload()
    assert known.caller_of(made) is not None
    assert known.anybody is None


def test_line_cut_anywhere_is_no_line() -> None:
    """Cut before its prefix it would be good for all ids."""
    for length in range(1, len(LINE)):
        with pytest.raises(ValueError, match="part of it may be missing"):
            from_text(LINE[:length])


def test_nobody_is_asked_only_where_it_is_sheltered_and_there_is_no_file(path: Path) -> None:
    assert Tokens(path, is_sheltered=False).anybody is None
    known = Tokens(path, is_sheltered=True)
    assert known.anybody is ANYBODY
    assert known.reload() == Changes([], [], [])
    assert known.lets_in(ANYBODY)

    path.write_text("")  # as after the last token was taken out
    assert Tokens(path, is_sheltered=True).anybody is None
    known.reload()
    assert known.anybody is None
    assert not known.lets_in(ANYBODY)

    path.unlink()
    with pytest.raises(TokenFileError, match="is gone"):
        known.reload()
    assert known.anybody is None


def test_first_token_is_made_once_by_however_many(path: Path) -> None:
    made: list[str | None] = []
    threads = [threading.Thread(target=lambda: made.append(make_first_token(path))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)

    (first,) = [one for one in made if one is not None]
    caller = Tokens(path, is_sheltered=False).caller_of(first)
    assert caller is not None
    assert caller.rights == ALL_RIGHTS
    assert make_first_token(path) is None


def test_tokens_made_at_once_are_all_kept(path: Path) -> None:
    threads = [threading.Thread(target=make_token, args=(path, READ)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)

    assert {caller.name for caller in read_tokens(path) or ()} == {f"token-{number}" for number in range(1, 9)}


class TestCommands:
    @pytest.fixture(autouse=True)
    def path(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("TIMER_GATEWAY_TOKENS", "kept")
        return tmp_path / "kept"

    def test_token_is_printed_alone_and_listed_by_its_name(self, path: Path) -> None:
        made = CliRunner().invoke(token, ["--name", "till", "--prefix", "shop/", "--rights", "read,start"])
        more = CliRunner().invoke(token, [])
        listed = CliRunner().invoke(tokens, [])

        assert (made.exit_code, more.exit_code, listed.exit_code) == (0, 0, 0)
        caller = Tokens(path, is_sheltered=False).caller_of(made.stdout.strip())
        assert caller is not None
        assert (caller.name, caller.prefix, caller.rights) == ("till", "shop/", {"read", "start"})
        assert made.stdout.strip() not in made.stderr
        assert "SIGHUP" in made.stderr
        assert listed.stdout == "till\tread,start\tshop/\ntoken-1\tread,start,change,take\n"
        assert {"read", "start", "change", "take"} == DEFAULT_RIGHTS

    @pytest.mark.parametrize(
        ("arguments", "told"),
        [
            (["--prefix", "a b"], "characters of an id"),
            (["--rights", "write"], "'write' is no right"),
            (["--name", "a b"], "a name is"),
            (["--name", "anybody"], "not 'anybody'"),
        ],
    )
    def test_nonsense_makes_no_file(self, path: Path, arguments: list[str], told: str) -> None:
        refused = CliRunner().invoke(token, arguments)

        assert refused.exit_code == 2
        assert told in refused.stderr
        assert not path.exists()

    def test_file_that_cannot_be_used_is_left_alone(self, path: Path) -> None:
        path.write_text("half a line")

        for command in (token, tokens):
            refused = CliRunner().invoke(command, [])
            assert refused.exit_code == 2
            assert refused.stderr.startswith("timer-gateway: cannot use the tokens in kept: its last line has no end")
        assert path.read_text() == "half a line"


class TestSessions:
    NOW_S = 1_000_000.0

    @pytest.fixture
    def known(self, path: Path) -> Tokens:
        make_token(path, READ)
        return Tokens(path, is_sheltered=False)

    @pytest.fixture
    def caller(self, path: Path) -> Caller:
        make_token(path, READ, name="page")
        return read_tokens(path)[-1]  # type: ignore[index]

    @pytest.fixture
    def sessions(self, path: Path, caller: Caller) -> Sessions:
        tokens = Tokens(path, is_sheltered=False)
        assert tokens.lets_in(caller)
        return Sessions(b"k" * 32, tokens, lambda: self.NOW_S)

    def sent(self, header: str) -> str:
        """What a browser sends back of a Set-Cookie header."""
        return header.partition(";")[0]

    def test_cookie_is_for_this_host_and_no_script(self, sessions: Sessions, caller: Caller) -> None:
        plain, secure = (sessions.cookie(caller, 8080, is_secure=is_secure) for is_secure in (False, True))

        assert plain.startswith("timer-session-8080=")
        assert secure.startswith("__Host-timer-session-8080=")
        for header in (plain, secure):
            assert {"Path=/", "HttpOnly", "SameSite=Strict"} <= set(header.split("; "))
            assert "Domain" not in header
        assert secure.endswith("; Secure")

    def test_cookie_stands_for_the_caller_until_its_time_is_over(
        self, sessions: Sessions, caller: Caller, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        cookie = self.sent(sessions.cookie(caller, None, is_secure=False))

        def session() -> Caller | None:
            found = sessions.session_of(f"other=1; {cookie}", None, is_encrypted=False)
            return found and found.caller

        assert caller.is_same(session())
        monkeypatch.setattr(TestSessions, "NOW_S", self.NOW_S + LIFETIME_S - 1)
        assert caller.is_same(session())
        monkeypatch.setattr(TestSessions, "NOW_S", self.NOW_S + LIFETIME_S)
        assert session() is None
        assert RENEWED_AFTER_S < LIFETIME_S

    def test_no_cookie_but_a_signed_one_counts(self, sessions: Sessions, caller: Caller, known: Tokens) -> None:
        name, _, text = self.sent(sessions.cookie(caller, None, is_secure=False)).partition("=")
        began, digest, signature = text.split(".")
        older = Sessions(b"o" * 32, known, lambda: self.NOW_S)
        for wrong in (
            "",
            "..",
            digest,
            f"{int(began) + 1}.{digest}.{signature}",
            f"{began}.{OTHER_DIGEST}.{signature}",
            f"{began}.{digest}.{signature[:-1]}{'0' if signature[-1] != '0' else '1'}",
            f"{began}.{digest}.",
            self.sent(older.cookie(caller, None, is_secure=False)).partition("=")[2],
            "ÿ" * 200,
        ):
            assert sessions.session_of(f"{name}={wrong}", None, is_encrypted=False) is None

    def test_session_is_over_with_its_token_and_outlasts_a_restart(self, path: Path, caller: Caller) -> None:
        key, fault = session_key(key_path(path))
        assert fault is None
        first = Sessions(key, Tokens(path, is_sheltered=False), lambda: self.NOW_S)
        cookie = self.sent(first.cookie(caller, None, is_secure=False))

        known = Tokens(path, is_sheltered=False)
        again = Sessions(session_key(key_path(path))[0], known, lambda: self.NOW_S)
        assert again.session_of(cookie, None, is_encrypted=False) is not None
        path.write_text("")
        known.reload()
        assert again.session_of(cookie, None, is_encrypted=False) is None

    def test_plain_cookie_of_another_program_takes_no_precedence(self, sessions: Sessions, caller: Caller) -> None:
        plain, secure = (self.sent(sessions.cookie(caller, 1, is_secure=is_secure)) for is_secure in (False, True))

        for cookies in (f"{plain}; {secure}", f"{secure}; {plain}"):
            found = sessions.session_of(cookies, 1, is_encrypted=False)
            assert found is not None
            assert found.is_secure
        assert sessions.session_of(plain, 1, is_encrypted=True) is None
        assert sessions.session_of(plain, 2, is_encrypted=False) is None, "another port, another gateway"

    def test_key_that_cannot_be_kept_is_told(self, path: Path) -> None:
        where = key_path(path)
        where.write_text("short")
        one, fault = session_key(where)
        other, _ = session_key(where)

        assert one != other
        assert fault is not None
        assert str(where) in fault
        assert "cannot write" in str(session_key(path / "none" / "key")[1])
