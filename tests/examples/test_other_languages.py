"""Examples in other languages, and the one without any library, against a server and a gateway of this process."""

import asyncio
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from examples.running import EXAMPLES, LIMIT_S, run
from gateway.visits import listening
from local_server import LocalServer
from timer_testing import TimerServer

STAND_IN = Path(__file__).parent / "zeromq"
PACKAGE = EXAMPLES / "node" / "node_modules" / "zeromq"


def test_plain_sockets(server: LocalServer) -> None:
    first, last = run("plain_sockets.py", 0.05)
    timer_id = first.split()[0]
    assert (first, last) == (f"{timer_id} runs for 0.05 s", f"{timer_id} has fired")
    with pytest.raises(SystemExit, match="a timer needs more"):
        run("plain_sockets.py", 0)


@pytest.mark.skipif(shutil.which("node") is None, reason="Node.js is not installed")
def test_node(server: LocalServer, tmp_path: Path) -> None:
    """With the package `zeromq` where `npm install` was run, else with a stand-in for it."""
    shutil.copy(EXAMPLES / "node" / "countdown.mjs", tmp_path)
    (tmp_path / "node_modules").mkdir()
    (tmp_path / "node_modules" / "zeromq").symlink_to(PACKAGE if PACKAGE.exists() else STAND_IN)
    for seconds, code, told in (("0.05", 0, r"(\S+) runs for 0\.05 s\n\1 has fired\n"), ("-1", 1, "")):
        ran = subprocess.run(
            ["node", tmp_path / "countdown.mjs", seconds], capture_output=True, text=True, timeout=LIMIT_S, check=False
        )
        assert ran.returncode == code, ran.stderr
        assert re.fullmatch(told, ran.stdout), ran.stdout


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_curl(standing_server: TimerServer) -> None:
    async def scenario() -> str:
        async with listening(standing_server.server) as connect:
            host, port = connect.args
            variables = {**os.environ, "GATEWAY_URL": f"http://{host}:{port}"}
            script = await asyncio.create_subprocess_exec(
                "bash", EXAMPLES / "curl.sh", env=variables, stdout=subprocess.PIPE
            )
            assert script.stdout is not None
            told = await asyncio.wait_for(script.stdout.readuntil(b"event: extended\n"), LIMIT_S)
            await asyncio.to_thread(standing_server.advance, seconds=3)
            told += await asyncio.wait_for(script.stdout.read(), LIMIT_S)
            assert await script.wait() == 0
            return told.decode()

    assert asyncio.run(scenario()).splitlines() == [
        "started: running, 2000 ms to go",
        "extended: running, 3000 ms to go",
        *["event: started", "event: extended", "event: fired"],
    ]


@pytest.mark.skipif(shutil.which("node") is None, reason="Node.js is not installed")
def test_node_follows_events(standing_server: TimerServer) -> None:
    async def scenario() -> None:
        async with standing_server.async_client() as client, listening(standing_server.server) as connect:
            host, port = connect.args
            variables = {**os.environ, "GATEWAY_URL": f"http://{host}:{port}"}
            follower = await asyncio.create_subprocess_exec(
                "node", EXAMPLES / "node" / "follow.mjs", "order/", env=variables, stdout=subprocess.PIPE
            )
            assert follower.stdout is not None
            lines = aiter(follower.stdout)
            try:
                assert await asyncio.wait_for(anext(lines), LIMIT_S) == b"listening\n"
                await client.start(id="tea", minutes=1)
                await client.start(id="order/42", minutes=1)
                assert await asyncio.wait_for(anext(lines), LIMIT_S) == b"order/42 started\n"
                await client.cancel("order/42")
                assert await asyncio.wait_for(anext(lines), LIMIT_S) == b"order/42 cancelled\n"
            finally:
                follower.terminate()
                await follower.wait()

    asyncio.run(scenario())
