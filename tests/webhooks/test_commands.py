"""The command `timer-webhooks`: it sends until it is told to end, shows what it did, and says what is wrong."""

import json
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from drivers.peers import Requester
from drivers.sender_process import SenderProcess
from drivers.webhook_receiver import Receiver
from local_server import LocalServer
from service_ear import Ear
from timer_webhooks.command import root
from timer_webhooks.database import Database, Try
from timer_webhooks.signing import key_of
from timer_webhooks.standing import Standing
from webhooks.conftest import SECRET


@pytest.fixture
def folder(tmp_path: Path, receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a file for one endpoint."""
    (tmp_path / "webhooks.toml").write_text(
        f'[endpoints.it]\nqueue = "hooks"\nprefix = "hook/"\nurl = "{receiver.url}"\nsecrets = ["{SECRET}"]\n'
        'allow = ["127.0.0.0/8"]\n'
    )
    (tmp_path / "webhooks.toml").chmod(0o600)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments: str, **environment: str) -> Result:
    return CliRunner(env=environment).invoke(root, list(arguments))


def test_a_process_sends_and_ends_in_order(
    folder: Path, receiver: Receiver, server: LocalServer, rpc: Requester
) -> None:
    rpc.call("queue.put", queue="hooks", prefix="hook/", lease_ms=60_000, max_deliveries=0)
    rpc.call("timer.start", id="hook/1", seconds=0.01)
    (folder / "webhooks.toml").chmod(0o644)
    ear = Ear(f"{folder}/notify")
    with (
        closing(ear),
        SenderProcess(folder, server.commands, NOTIFY_SOCKET=ear.place, WATCHDOG_USEC="200000") as sender,
    ):
        receiver.wait_for(1)
        assert ear.hear() == ["READY=1", "STATUS=sending"]
        assert ear.hear() == ["WATCHDOG=1", "STATUS=sending"]
        assert sender.terminate() == 0
        ear.hear_until("STOPPING=1")
    events = [line["event"] for line in sender.lines]
    assert "chmod 600" in events[0]
    assert events[1:] == ["sending", "working"]
    assert SECRET not in json.dumps(sender.lines)
    queue = rpc.call("queue.get", queue="hooks")
    assert (queue["ready"], queue["leased"], queue["delayed"]) == (0, 0, 0)
    logged = run("log")
    assert logged.exit_code == 0
    assert "\thook/1\t" in logged.stdout
    assert "\tdelivered\t" in logged.stdout


def test_log_shows_attempts_and_what_is_wrong_with_endpoints(folder: Path) -> None:
    with closing(Database(folder / "webhooks.db")) as database:
        for number, outcome in enumerate(("delivered", "broken"), 1):
            database.note_try(Try(number, "it", "end_x", f"hook/{number}", number, outcome, "re\x1bason", 12))
        database.note_standing("it", Standing(1, 2, "it answered 410"))
    assert [line.split("\t")[2] for line in run("log").stdout.splitlines()] == ["delivered", "broken"]
    failed = run("log", "--failed", "--endpoint", "it", "-n", "1")
    assert "re\\x1bason" in failed.stdout
    assert "it is disabled since" in failed.stderr
    assert "`timer-webhooks enable it`" in failed.stderr
    assert run("enable", "it").stdout == "it: enabled\n"
    assert run("log").stderr == ""
    assert run("enable", "it").stdout == "it: was not disabled\n"


def test_resend_says_what_came_of_it(folder: Path, receiver: Receiver, server: LocalServer, rpc: Requester) -> None:
    rpc.call("queue.put", queue="hooks", prefix="hook/", lease_ms=60_000, max_deliveries=0)
    rpc.call("timer.start", id="hook/1", seconds=0.001)
    rpc.call("timer.wait", id="hook/1", wait_ms=10_000)
    sent = run("resend", "hook/1", TIMER_SERVER=server.commands)
    assert sent.exit_code == 0
    assert sent.stdout.startswith("hook/1 to it: delivered, answered 204 (end_")
    receiver.mood = "failing"
    failed = run("resend", "hook/1", "--endpoint", "it", TIMER_SERVER=server.commands)
    assert failed.exit_code == 1
    assert "server_error, answered 500" in failed.stdout
    missing = run("resend", "hook/2", TIMER_SERVER=server.commands)
    assert missing.exit_code == 1
    assert "hook/2" in missing.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["log", "--endpoint", "that"], "there is no endpoint 'that'; there are it"),
        (["enable", "that"], "there is no endpoint 'that'; there are it"),
        (["--config", "none.toml"], "none.toml cannot be read: No such file"),
        (["--config", "none.toml", "log"], "none.toml cannot be read: No such file"),
    ],
)
def test_misuse_is_told(folder: Path, arguments: list[str], said: str) -> None:
    told = run(*arguments)
    assert told.exit_code == 2
    assert f"timer-webhooks: {said}" in told.stderr


def test_a_secret_is_made() -> None:
    assert len(key_of(run("secret").stdout.strip())) == 32
