"""deploy/compose.curve.yml: keys are made, those who have one are served, and nobody else."""

import json
from collections.abc import Iterator

import pytest

from drivers.runs import new_project
from drivers.stack import FILES, ROOT, Stack, run

CURVE = ROOT / "deploy" / "compose.curve.yml"
SECRET = "TIMER_CURVE_CLIENT_SECRET"
SHOP = f"{SECRET}=/client-keys/shop.key_secret"


@pytest.fixture(scope="module")
def locked(tag: str) -> Iterator[Stack]:
    """A project whose server speaks CURVE only."""
    stack = Stack(new_project(), tag, files=[*FILES, CURVE], is_checked=False)
    try:
        stack.up()
        yield stack
    finally:
        stack.close()


@pytest.fixture(scope="module")
def with_shop(locked: Stack) -> Stack:
    """The project after another client was made, while the server runs."""
    keygen = ["timer-server", "keygen", "/keys", "--client", "shop", "--prefix", "shop/", "--hand-over", "/client-keys"]
    made = run(["docker", "exec", locked.container("server"), *keygen])
    assert "made /client-keys/shop.key_secret" in made.stdout
    run(["docker", "kill", "--signal", "HUP", locked.container("server")])
    locked.follow_log().expect('"event":"keys read","clients":2')
    return locked


def test_the_client_of_the_project_and_the_health_check_have_a_key(locked: Stack) -> None:
    assert "has fired" in locked.timer("start", "0", "0", "1", "--id", "tea").stdout
    run(["docker", "exec", locked.container("server"), "timer-server", "--check"])


def test_nobody_else_is_let_in(locked: Stack) -> None:
    done = locked.timer("--retry-deadline", "1", "info", env=[f"{SECRET}="], check=False)
    assert done.returncode in {1, 4}  # by whether ZeroMQ hears the reason before the server closes the connection
    assert "wants CURVE keys" in done.stderr
    assert "Traceback" not in done.stderr


def test_another_client_is_bound_and_let_in(with_shop: Stack) -> None:
    with_shop.timer("start", "1h", "--detach", "--id", "shop/1", env=[SHOP])
    own = with_shop.timer("start", "1h", "--detach", "--json", env=[SHOP, "TIMER_ID_PREFIX=shop/"])
    assert json.loads(own.stdout)["id"].startswith("shop/")
    refused = with_shop.timer("get", "tea", env=[SHOP], check=False)
    assert refused.returncode == 1
    assert "'tea' does not begin with 'shop/'" in refused.stderr
    log = run(["docker", "logs", with_shop.container("server")])
    assert "without encryption" not in log.stdout + log.stderr


def test_keys_stay_and_one_taken_away_stays_away_when_the_server_is_made_anew(with_shop: Stack) -> None:
    server = with_shop.container("server")
    run(["docker", "exec", server, "rm", "/keys/clients/compose.key"])
    run(["docker", "stop", server])
    run(["docker", "rm", server])
    with_shop.up()
    assert "timer/1" in with_shop.timer("info", env=[SHOP]).stdout
    done = with_shop.timer("info", check=False)
    assert done.returncode == 1
    assert "does not know this client's key" in done.stderr
