"""What a run has left in the engine is removed by the next one when the run is no more, and not before."""

import json
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
def run_with_things() -> Iterator[dict[str, str]]:
    """A process that counts as a run, with one of everything in the engine, even a container that would come back."""
    with subprocess.Popen(["sleep", "600"]) as process:
        try:
            name = name_of(process.pid)
            project = f"{PROJECTS}{name}-1"
            label = ["--label", f"com.docker.compose.project={project}"]
            forever = ["--restart", "unless-stopped", "--entrypoint", "sleep"]
            tag = f"{IMAGES}client:{name}"
            run(["docker", "tag", image("client"), tag])
            network = run(["docker", "network", "create", *label, project]).stdout.strip()
            volume = run(["docker", "volume", "create", *label]).stdout.strip()
            place = ["--network", project, "--volume", f"{volume}:/kept"]
            container = run(["docker", "run", "--detach", *label, *place, *forever, image("client"), "600"]).stdout
            yield {"container": container.strip(), "network": network, "volume": volume, "image": tag}
        finally:
            process.kill()


def left(things: dict[str, str]) -> list[str]:
    """Which kinds of a run's things the engine has."""
    found = json.loads(run(["docker", "inspect", *things.values()], check=False).stdout)
    names = {name for thing in found for name in (thing.get("Id"), thing.get("Name"), *thing.get("RepoTags", ()))}
    return [kind for kind, name in things.items() if name in names]


def test_a_killed_run_is_cleared_away_and_a_living_one_left() -> None:
    with run_with_things() as living:
        with run_with_things() as killed:
            remove_what_ended_runs_left()
            assert left(killed) == left(living) == ["container", "network", "volume", "image"]
        remove_what_ended_runs_left()
        assert left(killed) == []
        assert left(living) == ["container", "network", "volume", "image"]
    remove_what_ended_runs_left()
    assert left(living) == []
