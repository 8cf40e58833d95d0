"""The Docker engine: whether one answers, and both images as they are built for this run."""

import fcntl
import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from drivers.runs import (
    GATEWAY,
    POSTGRES,
    SIDES,
    WEBHOOKS,
    image,
    new_project,
    remove_what_ended_runs_left,
    this_run,
)
from drivers.stack import BUILD_LIMIT_S, ROOT, Stack, run

ENGINE_LIMIT_S = 20.0


@cache
def engine_fault() -> str | None:
    """Why no containers can be had, in one line; None where they can."""
    asked = ["docker", "compose", "ls", "--quiet"]
    try:
        done = run(asked, limit_s=ENGINE_LIMIT_S, check=False)
    except FileNotFoundError:
        return "docker is not installed"
    except subprocess.TimeoutExpired:
        return f"{' '.join(asked)}: no answer within {ENGINE_LIMIT_S:.0f} s"
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip().splitlines() or ["failed"]
        return f"{' '.join(asked)}: {said[-1]}"
    return None


def is_required() -> bool:
    """Whether it is a failure that no engine answers."""
    return os.environ.get("REQUIRE_CONTAINERS") == "1"


def build_images() -> str:
    """Builds both images once for the run, whichever of its processes comes first; gives their tag."""
    tag = this_run()
    with _built().open("a") as built:
        fcntl.flock(built, fcntl.LOCK_EX)
        if not _built().stat().st_size:
            remove_what_ended_runs_left()
            Stack(new_project(), tag).compose("build", *SIDES, limit_s=BUILD_LIMIT_S)
            built.write("built\n")
    return tag


def build_postgres() -> None:
    """Builds the image of PostgreSQL, for the one file of tests that needs it; it goes with the others."""
    dockerfile = ROOT / "deploy" / "Dockerfile.postgres"
    base = ["--build-arg", f"PYTHON_IMAGE={name}"] if (name := os.environ.get("PYTHON_IMAGE")) else []
    command = ["docker", "build", "--quiet", *base, "--file", str(dockerfile), "--tag", image(POSTGRES), str(ROOT)]
    run(command, limit_s=BUILD_LIMIT_S)


def remove_images() -> None:
    """Removes the run's images, if it has built any."""
    if _built().exists():
        run(["docker", "image", "rm", *map(image, (*SIDES, POSTGRES, GATEWAY, WEBHOOKS))], check=False)
        _built().unlink()


@contextmanager
def images() -> Iterator[str]:
    """Both images while the block lasts; gives their tag."""
    try:
        yield build_images()
    finally:
        remove_images()


def _built() -> Path:
    """The file that the run's processes lock while one of them builds; it is not empty when that is done."""
    return Path(tempfile.gettempdir()) / f"timer-test-{this_run()}"
