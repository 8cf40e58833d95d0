"""The compose files: the client is out of `up`, the containers are confined, and published to this machine alone."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import zmq

from bench import control_groups
from bench.control_groups import USUAL_SHARES, shares
from drivers.runs import new_project
from drivers.stack import FILES, ROOT, Stack, inspect, run

PUBLISH = ROOT / "deploy" / "compose.publish.yml"
ANSWER_LIMIT_MS = 30_000  # it has just been started


def test_valid_and_without_the_client_by_default(tag: str) -> None:
    plain = Stack("timer-test-config", tag, files=[ROOT / "docker-compose.yml"])
    config = json.loads(plain.compose("config", "--format", "json").stdout)
    assert list(config["services"]) == ["server"]
    assert "ports" not in config["services"]["server"]
    services = plain.compose("--profile", "*", "config", "--services").stdout.split()
    assert set(services) == {"client", "gateway", "server", "webhooks"}


def test_a_server_goes_first_where_the_processors_are_short(tag: str) -> None:
    plain = Stack("timer-test-config", tag, files=[ROOT / "docker-compose.yml"])
    services = json.loads(plain.compose("--profile", "*", "config", "--format", "json").stdout)["services"]
    ours, of_gateway = shares(control_groups.SERVER), shares(control_groups.GATEWAY)
    assert {name: int(service.get("cpu_shares", USUAL_SHARES)) for name, service in services.items()} == {
        "server": ours,
        "gateway": of_gateway,
        "webhooks": of_gateway,
        "client": USUAL_SHARES,
    }


def test_published_ports_are_the_documented_ones_on_the_loopback_interface(tag: str) -> None:
    published = Stack("timer-test-config", tag, files=[ROOT / "docker-compose.yml", PUBLISH])
    config = json.loads(published.compose("config", "--format", "json").stdout)
    ports = [(port["host_ip"], port["published"]) for port in config["services"]["server"]["ports"]]
    assert ports == [("127.0.0.1", "8888"), ("127.0.0.1", "8889")]


@pytest.fixture(scope="module")
def published(tag: str) -> Iterator[Stack]:
    """A server that is published, on free ports."""
    stack = Stack(new_project(), tag, files=[*FILES, PUBLISH], is_checked=False)
    stack.env |= {"PUBLISH_COMMANDS": "0", "PUBLISH_EVENTS": "0"}
    try:
        stack.up()
        yield stack
    finally:
        stack.close()


def test_published_server_answers_this_machine_only(published: Stack) -> None:
    bound = inspect(published.container("server"))["NetworkSettings"]["Ports"]
    assert {port: [place["HostIp"] for place in places] for port, places in bound.items()} == {
        "8888/tcp": ["127.0.0.1"],
        "8889/tcp": ["127.0.0.1"],
    }
    with zmq.Context() as context, context.socket(zmq.REQ) as socket:
        socket.linger = 0
        socket.connect(f"tcp://127.0.0.1:{bound['8888/tcp'][0]['HostPort']}")
        socket.send_json({"jsonrpc": "2.0", "method": "server.info", "id": 1})
        assert socket.poll(ANSWER_LIMIT_MS)
        assert b'"result"' in socket.recv()


def test_both_sides_are_confined_and_the_server_has_no_capability(published: Stack) -> None:
    assert_confined(inspect(published.container("server"))["HostConfig"])
    client = published.compose("run", "--detach", "--no-deps", "client", "start", "1h").stdout.strip()
    assert_confined(inspect(client)["HostConfig"])
    look = ["docker", "exec", published.container("server"), "grep", "-E", "^(Cap|NoNewPrivs)", "/proc/1/status"]
    status = dict(line.split() for line in run(look).stdout.splitlines())
    assert status.pop("NoNewPrivs:") == "1"
    assert len(status) == 5
    assert {int(mask, 16) for mask in status.values()} == {0}


def assert_confined(host: dict[str, Any]) -> None:
    assert host["ReadonlyRootfs"] is True
    assert host["CapDrop"] == ["ALL"]
    assert not host["CapAdd"]
    assert host["Privileged"] is False
    assert host["SecurityOpt"] == ["no-new-privileges:true"]
    assert host["Init"] is True
    assert list(host["Tmpfs"]) == ["/tmp"]  # noqa: S108 - a mount point


def test_settings_reach_the_server_and_a_wrong_one_stops_it(published: Stack) -> None:
    wrong = published.env | {"TIMER_RETENTION_S": "a day"}
    done = run(published.line("run", "--rm", "-T", "server"), env=wrong, cwd=ROOT, check=False)
    assert done.returncode == 2
    assert "TIMER_RETENTION_S is 'a day', but must be" in done.stderr
