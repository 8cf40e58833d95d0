"""The Docker engine: whether one answers, and both images under a tag of their own."""

import os
import secrets
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from drivers.stack import BUILD_LIMIT_S, Stack, run

ENGINE_LIMIT_S = 20.0


@cache
def engine_fault() -> str | None:
    """Why no containers can be had, in one line; None where they can."""
    for command in (["docker", "info"], ["docker", "compose", "version"]):
        try:
            done = run(command, limit_s=ENGINE_LIMIT_S, check=False)
        except FileNotFoundError:
            return "docker is not installed"
        except subprocess.TimeoutExpired:
            return f"{' '.join(command)}: no answer within {ENGINE_LIMIT_S:.0f} s"
        if done.returncode != 0:
            said = (done.stderr or done.stdout).strip().splitlines() or ["failed"]
            return f"{' '.join(command)}: {said[-1]}"
    return None


def is_required() -> bool:
    """Whether tests fail where no engine answers."""
    return os.environ.get("REQUIRE_CONTAINERS") == "1"


@contextmanager
def images() -> Iterator[str]:
    """Builds both images; gives their tag, which nobody else uses."""
    tag = secrets.token_hex(4)
    stack = Stack(f"timer-test-{tag}-build", tag)
    try:
        stack.compose("build", "server", "client", limit_s=BUILD_LIMIT_S)
        yield tag
    finally:
        for side in ("server", "client"):
            run(["docker", "image", "rm", f"timer-service-test-{side}:{tag}"], check=False)
