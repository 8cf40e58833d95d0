"""deploy/compose.curve.yml: keys are made, those who have one are served, and nobody else."""

import json
from collections.abc import Iterator

import pytest

from drivers.runs import new_project
from drivers.stack import FILES, ROOT, Stack

CURVE = ROOT / "deploy" / "compose.curve.yml"


@pytest.fixture(scope="module")
def locked(tag: str) -> Iterator[Stack]:
    """A project whose server speaks CURVE only."""
    stack = Stack(new_project(), tag, files=[*FILES, CURVE])
    try:
        stack.up()  # healthy: the check has a key as well
        yield stack
    finally:
        stack.close()


def test_the_client_of_the_project_has_a_key(locked: Stack) -> None:
    done = locked.timer("start", "0", "0", "1", "--id", "tea")
    assert "has fired" in done.stdout


def test_nobody_else_is_let_in(locked: Stack) -> None:
    plain = ["run", "--rm", "-T", "--env", "TIMER_CURVE_CLIENT_SECRET=", "client", "--retry-deadline", "1", "info"]
    done = locked.compose(*plain, check=False)
    assert done.returncode in {1, 4}  # by whether ZeroMQ hears the reason before the server closes the connection
    assert "wants CURVE keys" in done.stderr
    assert "Traceback" not in done.stderr


def test_another_client_is_made_bound_and_let_in_while_the_server_runs(locked: Stack) -> None:
    keygen = ["timer-server", "keygen", "/keys", "--client", "shop", "--prefix", "shop/", "--hand-over", "/client-keys"]
    made = locked.compose("exec", "-T", "server", *keygen)
    assert "made /client-keys/shop.key_secret" in made.stdout
    locked.compose("kill", "--signal", "HUP", "server")
    locked.follow_log().expect('"event":"keys read","clients":2')
    shop = ["run", "--rm", "-T", "--env", "TIMER_CURVE_CLIENT_SECRET=/client-keys/shop.key_secret", "client"]
    locked.compose(*shop, "start", "1h", "--detach", "--id", "shop/1")
    own = locked.compose(*shop[:3], "--env", "TIMER_ID_PREFIX=shop/", *shop[3:], "start", "1h", "--detach", "--json")
    assert json.loads(own.stdout)["id"].startswith("shop/")
    refused = locked.compose(*shop, "get", "tea", check=False)
    assert refused.returncode == 1
    assert "'tea' does not begin with 'shop/'" in refused.stderr
    log = locked.compose("logs", "server").stdout
    assert "without encryption" not in log


def test_keys_stay_when_the_server_is_made_anew(locked: Stack) -> None:
    locked.compose("rm", "--force", "--stop", "server")
    locked.up()
    assert locked.timer_json("info")["protocol"] == "timer/1"


def test_a_key_that_was_taken_away_stays_away_when_the_server_is_made_anew(locked: Stack) -> None:
    locked.compose("exec", "-T", "server", "rm", "/keys/clients/compose.key")
    locked.compose("rm", "--force", "--stop", "server")
    locked.up()
    done = locked.timer("info", check=False)
    assert done.returncode == 1
    assert "does not know this client's key" in done.stderr
