"""The command `timer-gateway` as a process: it serves, is asked for a sign of life, reads again, and ends."""

import http.client
import json
import os
import signal
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from drivers.program import Program
from drivers.server_process import SERVICES
from gateway.visits import NOWHERE
from local_server import LocalServer
from service_ear import Ear
from timer_gateway.command import root
from timer_gateway.listening import BindError, listen

COMMAND = [sys.executable, "-m", "timer_gateway"]


def environment(**variables: str) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("TIMER_")}
    return {**inherited, "PYTHONPATH": str(SERVICES), "TIMER_LOG_FORMAT": "json", **variables}


def run(*arguments: str, **variables: str) -> Result:
    """The command in this process, where it ends by itself."""
    return CliRunner().invoke(root, arguments, env={"TIMER_SERVER": NOWHERE, **variables})


def test_serves_and_ends_in_order(server: LocalServer, tmp_path: Path) -> None:
    variables = {"TIMER_SERVER": server.commands, "TIMER_EVENTS": server.events, "TIMER_GATEWAY_BIND": "127.0.0.1:0"}
    ear = Ear(f"{tmp_path}/notify")
    variables |= {"NOTIFY_SOCKET": ear.place, "WATCHDOG_USEC": "200000"}
    program = Program(COMMAND, environment(**variables, TIMER_GATEWAY_TOKEN="x"), tmp_path)
    try:
        listening = json.loads(program.expect(r'\{[^\n]*"event":"listening"[^\n]*\}').group())
        assert program.has_written("TIMER_GATEWAY_TOKEN is no setting .* did you mean TIMER_GATEWAY_TOKENS")
        assert ear.hear() == ["READY=1", "STATUS=serving"]
        assert ear.hear() == ["WATCHDOG=1", "STATUS=serving"]
        port = int(listening["http"].rpartition(":")[2])
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        body = '{"minutes": 5}'
        connection.request("PUT", "/timer?id=tea", body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        assert (answer.status, json.load(answer)["id"]) == (200, "tea")
        assert answer.headers["server"] is None
        assert run("--check", TIMER_GATEWAY_BIND=f"127.0.0.1:{port}").exit_code == 0
        program.signal(signal.SIGHUP)
        program.expect('"event":"tokens read"')
        with pytest.raises(BindError, match=rf"cannot listen at 127.0.0.1:{port} .*: Address already in use$"):
            listen("127.0.0.1", port)
        program.signal(signal.SIGTERM)  # an idle connection holds up nothing
        assert program.wait() == 0
        assert program.has_written('"event":"stopped"')
        ear.hear_until("STOPPING=1")
        connection.close()
    finally:
        program.close()
        ear.close()


@pytest.mark.parametrize(
    ("variables", "arguments", "code", "sentence"),
    [
        ({"TIMER_GATEWAY_BIND": "8080"}, [], 2, "TIMER_GATEWAY_BIND is '8080', but must be HOST:PORT"),
        ({"TIMER_GATEWAY_BIND": "0.0.0.0:0"}, [], 2, "TIMER_GATEWAY_BIND is 0.0.0.0:0, which other machines reach"),
        ({"TIMER_GATEWAY_KEY": "key.pem"}, [], 2, "but TIMER_GATEWAY_CERTIFICATE is unset: set both"),
        ({"TIMER_SERVER": "here"}, [], 2, "TIMER_SERVER is 'here', but must be"),
        ({"TIMER_GATEWAY_BIND": "127.0.0.1:9"}, ["--check"], 1, "no answer from 127.0.0.1:9"),
    ],
)
def test_what_is_wrong_is_told(
    variables: dict[str, str],
    arguments: list[str],
    code: int,
    sentence: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    done = run(*arguments, **variables)
    assert (done.exit_code, done.stdout) == (code, "")
    assert sentence in done.stderr
    assert done.stderr.count("\n") == 1
