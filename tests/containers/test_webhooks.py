"""The compose profile `webhooks`: the sender in its container, confined, with its file in a volume of its own."""

import time
from collections.abc import Iterator

import pytest

from containers.test_compose_files import assert_confined
from drivers.runs import WEBHOOKS, image, new_project
from drivers.stack import BUILD_LIMIT_S, Stack, inspect

LIMIT_S = 60
LOOK_S = 0.2


@pytest.fixture
def stack(tag: str) -> Iterator[Stack]:
    """A server and the image of the sender."""
    running = Stack(new_project(), tag)
    try:
        running.compose("build", WEBHOOKS, limit_s=BUILD_LIMIT_S)
        running.up()
        yield running
    finally:
        running.close()


def test_it_sends_with_the_file_in_its_volume(stack: Stack) -> None:
    at_hand = ("run", "--rm", "--no-deps", "-T")
    missing = stack.compose(*at_hand, WEBHOOKS, check=False)
    assert missing.returncode == 2
    assert "webhooks.toml cannot be read: No such file" in missing.stderr
    secret = stack.compose(*at_hand, WEBHOOKS, "secret").stdout.strip()
    text = f'[endpoints.it]\nqueue = "q"\nprefix = ""\nurl = "https://192.0.2.1/"\nsecrets = ["{secret}"]\n'
    write = "umask 077; cat >webhooks.toml"
    stack.compose(*at_hand, "--entrypoint", "sh", WEBHOOKS, "-c", write, input=text)
    stack.timer("queue", "put", "q", "--prefix", "", "--retries", "forever", "--lease", "60s")
    stack.timer("start", "1s", "--id", "tea", "--detach")
    stack.up(WEBHOOKS)
    sender = stack.container(WEBHOOKS)
    until_s = time.monotonic() + LIMIT_S
    while "\ttea\t" not in (logged := stack.compose("exec", "-T", WEBHOOKS, "timer-webhooks", "log").stdout):
        assert time.monotonic() < until_s, stack.compose("logs", WEBHOOKS).stdout
        time.sleep(LOOK_S)
    assert "\trefused\t" in logged  # as no endpoint is at such an address
    assert_confined(inspect(sender)["HostConfig"])
    assert inspect(image(WEBHOOKS))["Config"]["User"].split(":")[0] not in ("", "0", "root")
    stack.compose("stop", WEBHOOKS)
    assert inspect(sender)["State"]["ExitCode"] == 0
