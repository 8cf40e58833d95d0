"""One compose project for a test: its commands, its containers, and clients in the background."""

import json
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from drivers.program import Program

ROOT = Path(__file__).parents[2]
FILES = (ROOT / "docker-compose.yml", Path(__file__).with_name("compose.test.yml"))

COMMAND_LIMIT_S = 60.0
HEALTHY_LIMIT_S = 60.0
BUILD_LIMIT_S = 480.0


def run(command: Sequence[str], limit_s: float = COMMAND_LIMIT_S, **options: Any) -> subprocess.CompletedProcess[str]:
    """Runs a command to its end; a failure shows what it wrote."""
    check = options.pop("check", True)
    done = subprocess.run(command, capture_output=True, text=True, timeout=limit_s, check=False, **options)
    if check and done.returncode != 0:
        raise AssertionError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}")
    return done


class Stack:
    """A compose project under a name of its own."""

    def __init__(self, project: str, tag: str, files: Sequence[Path] = FILES, *, is_checked: bool = True) -> None:
        """Without health checks it costs less: each one is an interpreter every two seconds."""
        self.project = project
        self.tag = tag
        # Neither the shell's settings nor a developer's .env belong to the test.
        self.env = {name: value for name, value in os.environ.items() if not name.startswith("TIMER_")}
        self.env |= {"TEST_TAG": tag, "TEST_UNCHECKED": json.dumps(not is_checked)}
        self._base = ["docker", "compose", "--progress", "quiet", "--env-file", os.devnull, "--project-name", project]
        for file in files:
            self._base += ["--file", str(file)]
        self._client: str | None = None
        self._is_checked = is_checked
        self._programs: list[Program] = []

    def line(self, *arguments: str) -> list[str]:
        """`docker compose ARGUMENTS`, for whoever runs it by themselves, with the project's `env`."""
        return [*self._base, *arguments]

    def compose(self, *arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
        """`docker compose ARGUMENTS`."""
        return run(self.line(*arguments), env=self.env, cwd=ROOT, **options)

    def up(self, *services: str) -> None:
        """Starts services, the server unless others are named, and waits until they are healthy, if that is checked."""
        wait = ["--wait", "--wait-timeout", str(round(HEALTHY_LIMIT_S))] if self._is_checked else []
        self.compose("up", "--detach", *wait, *(services or ("server",)), limit_s=HEALTHY_LIMIT_S + COMMAND_LIMIT_S)

    def timer(self, *arguments: str, env: Sequence[str] = (), **options: Any) -> subprocess.CompletedProcess[str]:
        """`timer ARGUMENTS` in the client container at hand, without a terminal; `env` has NAME=VALUE to lay over."""
        return run(self._at_hand("timer", *arguments, env=env), **options)

    def timer_json(self, *arguments: str) -> Any:
        """What `timer ARGUMENTS --json` tells."""
        return json.loads(self.timer(*arguments, "--json").stdout)

    def start_timer(self, *arguments: str) -> Program:
        """`timer ARGUMENTS` in the client container at hand, in the background."""
        return self._background(self._at_hand("timer", *arguments))

    def start_python(self, code: str, *arguments: str) -> Program:
        """A program in the client container at hand, with the client's library, in the background."""
        return self._background(self._at_hand("python", "-c", code, *arguments))

    def run_client(self, *arguments: str, name: str | None = None, terminal: bool = False) -> Program:
        """`docker compose run --rm client ARGUMENTS` in the background: a container of its own."""
        options = [*(["--name", name] if name else []), *([] if terminal else ["-T"])]
        options += [] if self._is_checked else ["--no-deps"]  # it would wait for a healthy server
        return self._background(self.line("run", "--rm", *options, "client", *arguments), terminal=terminal)

    def follow_log(self) -> Program:
        """The server's log, from its beginning, as it grows."""
        return self._background(["docker", "logs", "--follow", self.container("server")])

    def container(self, service: str) -> str:
        """The name of a service's container, running or not."""
        return f"{self.project}-{service}-1"

    def address(self, service: str) -> str:
        """A container's address on the project's network."""
        return str(inspect(self.container(service))["NetworkSettings"]["Networks"][self.network]["IPAddress"])

    @property
    def network(self) -> str:
        """The network that all of the project's containers are on."""
        return f"{self.project}_default"

    def close(self) -> None:
        """Removes all that the project made; what it logged goes to the test's output."""
        for program in self._programs:
            program.close()
        log = self.compose("logs", "--no-log-prefix", check=False).stdout
        self.compose("--profile", "*", "down", "--volumes", "--remove-orphans", "--timeout", "0")
        print(log)

    def _at_hand(self, *command: str, env: Sequence[str] = ()) -> list[str]:
        """A command in a client container that stays; a container for each would take three times as long."""
        if self._client is None:
            self._client = f"{self.project}-client"
            waits = ["--entrypoint", "sleep", "client", "infinity"]
            self.compose("run", "--detach", "--no-deps", "--name", self._client, *waits)
        laid_over = [option for pair in env for option in ("--env", pair)]
        return ["docker", "exec", *laid_over, self._client, *command]

    def _background(self, command: Sequence[str], *, terminal: bool = False) -> Program:
        program = Program(command, self.env, ROOT, terminal=terminal)
        self._programs.append(program)
        return program


def inspect(name: str) -> dict[str, Any]:
    """`docker inspect` of a container or an image."""
    found: list[dict[str, Any]] = json.loads(run(["docker", "inspect", name]).stdout)
    return found[0]
