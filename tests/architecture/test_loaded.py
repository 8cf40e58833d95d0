"""What a fresh interpreter loads: no more than the task at hand needs."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from architecture.reading import SERVICES, modules, name_of

PROTOCOL = "; ".join(
    f"import {name_of(module).removesuffix('.py').replace('/', '.')}" for module in modules("timer_protocol")
)
CHECK = "from timer_server.__main__ import main; assert main(['--check']) == 1"
SERVE = "import timer_server.serve"
CLIENT = "import timer_client.client, timer_client.async_client, timer_client.cli.work, timer_client.cli.start"
NOT_FOR_A_CHECK = {"sqlite3", "timer_server.core", "timer_server.loop", "timer_server.requests", "timer_server.store"}


@pytest.mark.parametrize(
    ("code", "unwanted"),
    [
        (PROTOCOL, {"zmq", "dotenv"}),
        (CHECK, NOT_FOR_A_CHECK),
        (SERVE, {"prometheus_client", "http.server", "psycopg"}),
        (CLIENT, {"timer_client.tracing", "opentelemetry"}),
    ],
    ids=[
        "the protocol needs msgspec alone",
        "the health check needs no store",
        "metrics and PostgreSQL are loaded when asked for",
        "who wants no spans loads nothing that makes them",
    ],
)
def test_is_not_loaded(code: str, unwanted: set[str], tmp_path: Path) -> None:
    loaded = subprocess.run(
        [sys.executable, "-c", f"import sys; {code}; print(*sys.modules)"],
        cwd=tmp_path,
        env={"PATH": os.defpath, "PYTHONPATH": str(SERVICES), "TIMER_BIND": f"ipc://{tmp_path}/nobody"},
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    ).stdout.split()

    assert "msgspec" in loaded
    assert unwanted.isdisjoint(loaded)


@pytest.mark.parametrize("package", ["timer_client", "timer_server", "timer_gateway", "timer_webhooks"])
def test_next_to_nothing_is_loaded_before_ctrl_c_is_dealt_with(package: str) -> None:
    code = f"import sys; before = set(sys.modules); import {package}.__main__; print(*set(sys.modules) - before)"
    loaded = subprocess.run(
        [sys.executable, "-c", code],
        env={"PATH": os.defpath, "PYTHONPATH": str(SERVICES)},
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    ).stdout.split()

    assert set(loaded) == {package, f"{package}.__main__", "timer_protocol", "timer_protocol.signal_death"}
