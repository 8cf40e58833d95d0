"""The first start of a gateway that is reached from elsewhere: a token, its link once, and its end at SIGHUP."""

import http.client
import json
import re
import signal
import socket
from pathlib import Path
from types import SimpleNamespace

import pytest

from drivers.program import Program
from gateway.test_process import COMMAND, environment, run
from gateway.visits import LIMIT_S, NOWHERE
from timer_gateway import command

EVERYWHERE = "0.0.0.0"  # noqa: S104 - under a port that nobody is told


def test_link_is_told_once_and_good_until_its_line_is_gone(tmp_path: Path) -> None:
    tokens = tmp_path / "gateway-tokens"
    variables = {"TIMER_SERVER": NOWHERE, "TIMER_GATEWAY_BIND": f"{EVERYWHERE}:0", "TIMER_GATEWAY_PLAIN": "1"}

    program = Program(COMMAND, environment(**variables), tmp_path)
    try:
        link = program.expect(r"Open this link, which is told once: http://localhost:(\d+)/#token=(timer_\S+)\n")
        port, token = int(link[1]), link[2]
        program.expect('"event":"listening"')

        def status(method: str, path: str, **headers: str) -> tuple[int, str | None]:
            connection = http.client.HTTPConnection("localhost", port, timeout=LIMIT_S)
            try:
                body = json.dumps({"token": token}) if method == "POST" else None
                connection.request(method, path, body, {"Content-Type": "application/json", **headers})
                answer = connection.getresponse()
                return answer.status, answer.headers["set-cookie"]
            finally:
                connection.close()

        assert status("GET", "/metrics") == (401, None), "nobody is let in because he is near"
        assert status("GET", "/metrics", Authorization=f"Bearer {token}") == (200, None)
        begins, cookie = status("POST", "/session")
        assert (begins, cookie is None) == (200, False)
        session = {"Cookie": str(cookie).partition(";")[0]}
        assert status("GET", "/metrics", **session) == (200, None)

        whole = tokens.read_text()
        tokens.write_text(whole[:-5])  # half of it is written when the signal comes
        program.signal(signal.SIGHUP)
        program.expect('"event":"tokens not read"[^\n]*its last line has no end')
        assert status("GET", "/metrics", **session) == (200, None)
        tokens.write_text(re.sub(r"(?m)^[0-9a-f]{64} .*\n", "", whole))
        program.signal(signal.SIGHUP)
        program.expect('"event":"tokens read","tokens":0,"removed":\\["first"\\]')
        assert status("GET", "/metrics", **session) == (401, None)
        assert status("GET", "/metrics", Authorization=f"Bearer {token}") == (401, None)
        assert program.output.count(token) == 1
        program.signal(signal.SIGTERM)
        assert program.wait() == 0
    finally:
        program.close()


def test_no_token_is_made_that_could_not_be_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    told: list[str] = []
    writer = SimpleNamespace(put=told.append, flush=lambda: None)
    monkeypatch.setattr(command, "set_up", lambda *_: writer)
    monkeypatch.setattr(command, "_take_others", lambda _: None)  # it is for the whole process
    with socket.create_server(("127.0.0.1", 0)) as taken:
        bind = f"{EVERYWHERE}:{taken.getsockname()[1]}"
        ended = run(TIMER_GATEWAY_BIND=bind, TIMER_GATEWAY_PLAIN="1")

    assert ended.exit_code == 1
    assert [line.partition(" (")[0] for line in told] == [f"timer-gateway: cannot listen at {bind}"]
    assert [*tmp_path.iterdir()] == []
