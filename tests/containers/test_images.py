"""What is in the images, and how their containers are confined."""

from typing import Any

import pytest

from drivers.runs import SIDES, image
from drivers.stack import Stack, inspect, run


@pytest.fixture(params=SIDES)
def side(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def python(side: str, code: str) -> str:
    """What a line of Python prints in a fresh container that may write nowhere."""
    command = ["docker", "run", "--rm", "--read-only", "--network", "none", "--entrypoint", "python", image(side)]
    return run([*command, "-c", code]).stdout.strip()


def test_configuration(tag: str, side: str) -> None:
    config = inspect(image(side))["Config"]
    command = {"server": "timer-server", "client": "timer"}[side]
    assert config["Entrypoint"] == [command]
    assert config["Cmd"] == {"server": None, "client": ["start"]}[side]
    assert config["User"].split(":")[0] not in ("", "0", "root")
    assert bool(config.get("Healthcheck")) is (side == "server")


def test_labels(tag: str, side: str) -> None:
    prefix = "org.opencontainers.image."
    labels = {
        name.removeprefix(prefix): text
        for name, text in inspect(image(side))["Config"]["Labels"].items()
        if name.startswith(prefix)
    }
    assert labels.keys() >= {"title", "description", "licenses", "version", "revision"}
    assert labels["title"] == f"timer-service-{side}"
    assert labels["licenses"] == "Apache-2.0"


def test_each_image_holds_its_own_side_only(tag: str, side: str) -> None:
    find = (
        "import importlib.util as u; print([bool(u.find_spec(f'timer_{n}')) for n in ('protocol', 'server', 'client')])"
    )
    assert python(side, find) == str([True, side == "server", side == "client"])


def test_nothing_to_build_with(tag: str, side: str) -> None:
    find = "import shutil; print([n for n in ('cc', 'gcc', 'g++', 'clang', 'make', 'pip', 'pip3') if shutil.which(n)])"
    assert python(side, find) == "[]"
    found = "import importlib.util as u; print([n for n in ('pip', 'setuptools') if u.find_spec(n)])"
    assert python(side, found) == "[]"


def test_bytecode_is_there(tag: str, side: str) -> None:
    stale = (
        "import timer_protocol as p, pathlib, importlib.util as u;"
        "print([str(f) for f in pathlib.Path(p.__file__).parents[1].rglob('timer_*/**/*.py')"
        " if not pathlib.Path(u.cache_from_source(str(f))).exists()])"
    )
    assert python(side, stale) == "[]"


def test_the_user_may_write_to_the_data_only(tag: str) -> None:
    write = "import os; print(os.getuid() != 0, [p for p in ('/', '/opt/venv', '/data') if os.access(p, os.W_OK)])"
    command = ["docker", "run", "--rm", "--network", "none", "--entrypoint", "python", image("server")]
    assert run([*command, "-c", write]).stdout.strip() == "True ['/data']"


def test_server_is_confined_and_healthy(shared: Stack) -> None:
    container = inspect(shared.container("server"))
    assert container["State"]["Health"]["Status"] == "healthy"
    assert container["HostConfig"]["RestartPolicy"]["Name"] == "unless-stopped"
    assert container["HostConfig"]["PortBindings"] in (None, {})
    assert_confined(container["HostConfig"])


def test_client_is_confined(shared: Stack) -> None:
    name = f"{shared.project}-confined"
    shared.compose("run", "--detach", "--name", name, "client", "start", "1h")
    assert_confined(inspect(name)["HostConfig"])


def assert_confined(host: dict[str, Any]) -> None:
    assert host["ReadonlyRootfs"] is True
    assert host["CapDrop"] == ["ALL"]
    assert not host["CapAdd"]
    assert host["Privileged"] is False
    assert host["SecurityOpt"] == ["no-new-privileges:true"]
    assert host["Init"] is True
    assert list(host["Tmpfs"]) == ["/tmp"]  # noqa: S108 - a mount point


def test_the_server_has_no_capability(shared: Stack) -> None:
    look = "print(*[line for line in open('/proc/1/status') if line.startswith(('Cap', 'NoNewPrivs'))])"
    found = shared.compose("exec", "-T", "server", "python", "-c", look).stdout.split()
    status = dict(zip(found[::2], found[1::2], strict=True))
    assert status.pop("NoNewPrivs:") == "1"
    assert {int(mask, 16) for mask in status.values()} == {0}
