"""The compose profile `web`: the gateway in its container, confined, reached from this machine with a token."""

import json
import re
from collections.abc import Iterator

import httpx
import pytest

from containers.test_compose_files import assert_confined
from drivers.runs import GATEWAY, image, new_project
from drivers.stack import BUILD_LIMIT_S, Stack, inspect

LIMIT_S = 20


@pytest.fixture
def web(tag: str) -> Iterator[Stack]:
    """A server and a gateway, which is published at a free port."""
    stack = Stack(new_project(), tag)
    stack.env |= {"PUBLISH_WEB": "0"}
    try:
        stack.compose("build", GATEWAY, limit_s=BUILD_LIMIT_S)
        stack.up(GATEWAY)
        yield stack
    finally:
        stack.close()


def ask(stack: Stack, method: str, path: str, token: str = "", **members: object) -> tuple[int, dict[str, object]]:
    """The status and the JSON of an answer."""
    ((place, *_),) = inspect(stack.container(GATEWAY))["NetworkSettings"]["Ports"].values()
    assert place["HostIp"] == "127.0.0.1"
    headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {token}"} if token else {})}
    body = json.dumps(members).encode() if method != "GET" else None
    url = f"http://127.0.0.1:{place['HostPort']}{path}"
    answer = httpx.request(method, url, content=body, headers=headers, timeout=LIMIT_S, trust_env=False)
    return answer.status_code, answer.json()


def links(stack: Stack) -> list[str]:
    return re.findall(r"http://127\.0\.0\.1:0/#token=(\S+)", stack.compose("logs", GATEWAY).stdout)


ASK_IN_NETWORK = """
import sys, urllib.request
for host in sys.argv[1:]:
    request = urllib.request.Request("http://gateway:8080/session", headers={"Host": host} if host else {})
    try:
        print(urllib.request.urlopen(request, timeout=20).status)
    except urllib.error.HTTPError as refused:
        print(refused.code)
"""


def test_other_containers_reach_it_under_its_own_name_alone(web: Stack) -> None:
    asked = web.compose("exec", "-T", "server", "python", "-c", ASK_IN_NETWORK, "", "gateway", "rebinding.example")
    assert asked.stdout.split() == ["401", "421", "421"], (
        "a token is needed; no other name, nor another port of this one"
    )


def test_the_first_token_is_told_once_and_lets_in(web: Stack) -> None:
    assert_confined(inspect(web.container(GATEWAY))["HostConfig"])
    config = inspect(image(GATEWAY))["Config"]
    assert config["User"].split(":")[0] not in ("", "0", "root")
    (token,) = links(web)
    assert ask(web, "PUT", "/timer?id=tea", minutes=5)[0] == 401
    assert ask(web, "PUT", "/timer?id=tea", token, minutes=5)[0] == 200
    web.compose("restart", GATEWAY)
    web.up(GATEWAY)
    assert links(web) == [token]
    status, timer = ask(web, "GET", "/timer?id=tea", token)
    assert (status, timer["state"]) == (200, "running")
