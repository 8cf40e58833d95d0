"""Names for runs of tests and campaigns: whatever a run makes in the Docker engine bears its name.

So runs beside each other do not meet, and what a run has left behind that was killed is found by the next one.
"""

import os
import secrets
from pathlib import Path

from drivers.stack import run

PROJECTS = "timer-test-"
IMAGES = "timer-service-test-"
SIDES = ("server", "client")
POSTGRES = "postgres"
GATEWAY = "gateway"
WEBHOOKS = "webhooks"
_VARIABLE = "TEST_RUN"
_PROJECT_LABEL = "com.docker.compose.project"

_THINGS = {
    "container": ("{{.ID}}", ("rm", "--force", "--volumes")),
    "network": ("{{.ID}}", ("rm",)),
    "volume": ("{{.Name}}", ("rm", "--force")),
}
"""What compose makes, with how it is named and removed, in the order in which that can be done."""


def this_run() -> str:
    """The name of the run that this process is part of: its first process made it, those that it starts inherit it."""
    return os.environ.setdefault(_VARIABLE, name_of(os.getpid()))


def new_project() -> str:
    """A name for a compose project of this run."""
    return f"{PROJECTS}{this_run()}-{secrets.token_hex(4)}"


def image(side: str) -> str:
    """This run's image of one side."""
    return f"{IMAGES}{side}:{this_run()}"


def remove_what_ended_runs_left() -> None:
    """Removes containers, networks, volumes and images of all runs whose process is no more."""
    for kind, (name, remove) in _THINGS.items():
        line = ["docker", kind, "ls", "--filter", f"label={_PROJECT_LABEL}"]
        listed = run([*line, *(["--all"] if kind == "container" else []), "--format", _with_project(name)]).stdout
        for thing, project in map(str.split, listed.splitlines()):
            if project.startswith(PROJECTS) and _has_ended(project.removeprefix(PROJECTS)):
                run(["docker", kind, *remove, thing], check=False)  # another run may do the same at this moment
    listed = run(["docker", "image", "ls", "--filter", f"reference={IMAGES}*", "--format", "{{.Repository}}:{{.Tag}}"])
    for made in listed.stdout.split():
        if _has_ended(made.rpartition(":")[2]):
            run(["docker", "image", "rm", made], check=False)


def _with_project(name: str) -> str:
    return f'{name} {{{{.Label "{_PROJECT_LABEL}"}}}}'


def name_of(pid: int) -> str:
    """A process's namespace, id and start: together they are never used again while the machine runs."""
    began = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    return f"{Path('/proc/self/ns/pid').stat().st_ino}-{pid}-{began}"


def _has_ended(name: str) -> bool:
    """Whether the run with this name, or whose name this begins with, is no more; no where that cannot be told."""
    namespace, pid, began = ([*name.split("-"), "", ""])[:3]
    if namespace != str(Path("/proc/self/ns/pid").stat().st_ino) or not pid.isdecimal():
        return False
    try:
        return name_of(int(pid)) != f"{namespace}-{pid}-{began}"
    except FileNotFoundError:
        return True
