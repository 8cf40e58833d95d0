"""What is in the images."""

import json

import pytest

from drivers.runs import SIDES, image
from drivers.stack import inspect, run

LOOK_INSIDE = """
import importlib.util, json, os, pathlib, shutil
import timer_protocol

def found(names):
    return [name for name in names if importlib.util.find_spec(name)]

modules = pathlib.Path(timer_protocol.__file__).parents[1].rglob("timer_*/**/*.py")
print(json.dumps({
    "sides": found(["timer_protocol", "timer_server", "timer_client"]),
    "build programs": [name for name in ("cc", "gcc", "g++", "clang", "make", "pip", "pip3") if shutil.which(name)],
    "build modules": found(["pip", "setuptools"]),
    "without bytecode": [
        str(path) for path in modules if not os.path.exists(importlib.util.cache_from_source(str(path)))
    ],
    "is root": os.getuid() == 0,
    "may write to": [path for path in ("/", "/opt/venv", "/data") if os.access(path, os.W_OK)],
}))
"""


@pytest.fixture(params=SIDES)
def side(request: pytest.FixtureRequest) -> str:
    return str(request.param)


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


def test_its_own_side_only_with_bytecode_and_without_what_builds(tag: str, side: str) -> None:
    command = ["docker", "run", "--rm", "--network", "none", "--entrypoint", "python", image(side), "-c", LOOK_INSIDE]
    assert json.loads(run(command).stdout) == {
        "sides": ["timer_protocol", f"timer_{side}"],
        "build programs": [],
        "build modules": [],
        "without bytecode": [],
        "is root": False,
        "may write to": ["/data"] if side == "server" else [],
    }
