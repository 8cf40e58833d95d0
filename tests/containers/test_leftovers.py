"""What a run has left in the engine is removed by the next one when the run is no more, and not before."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from drivers.runs import IMAGES, PROJECTS, image, name_of, remove_what_ended_runs_left
from drivers.stack import run


@pytest.fixture(autouse=True)
def built(tag: str) -> None:
    """What the containers are made of."""


@contextmanager
def run_with_things() -> Iterator[str]:
    """A process that counts as a run, with one of everything in the engine, even a container that would come back."""
    with subprocess.Popen(["sleep", "600"]) as process:
        try:
            name = name_of(process.pid)
            project = f"{PROJECTS}{name}-1"
            label = ["--label", f"com.docker.compose.project={project}"]
            forever = ["--restart", "unless-stopped", "--entrypoint", "sleep"]
            run(["docker", "network", "create", *label, project])
            run(["docker", "volume", "create", *label, project])
            run(["docker", "tag", image("client"), f"{IMAGES}client:{name}"])
            place = ["--network", project, "--volume", f"{project}:/kept"]
            run(["docker", "run", "--detach", *label, *place, *forever, image("client"), "600"])
            yield name
        finally:
            process.kill()


def things(name: str) -> list[int]:
    """How many containers, networks, volumes and images a run has."""
    label = f"label=com.docker.compose.project={PROJECTS}{name}-1"
    lists = [
        ["container", "ls", "--all", "--filter", label],
        ["network", "ls", "--filter", label],
        ["volume", "ls", "--filter", label],
        ["image", "ls", f"{IMAGES}client:{name}"],
    ]
    return [len(run(["docker", *line, "--quiet"]).stdout.split()) for line in lists]


def test_a_killed_run_is_cleared_away_and_a_living_one_left() -> None:
    with run_with_things() as living:
        with run_with_things() as killed:
            remove_what_ended_runs_left()
            assert things(killed) == things(living) == [1, 1, 1, 1]
        remove_what_ended_runs_left()
        assert things(killed) == [0, 0, 0, 0]
        assert things(living) == [1, 1, 1, 1]
    remove_what_ended_runs_left()
    assert things(living) == [0, 0, 0, 0]
