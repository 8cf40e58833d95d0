"""The server with clocks that a campaign sets really goes by them."""

import time
from pathlib import Path

from campaigns.clocked_server import as_the_machine, write
from drivers.peers import requester
from drivers.server_process import ServerProcess

AHEAD_S = 1_000_000


def test_a_new_store_begins_at_the_wall_clock_that_was_set(tmp_path: Path) -> None:
    setting = as_the_machine()
    setting.wall_ahead_s += AHEAD_S
    write(tmp_path / "clock", setting)

    with (
        ServerProcess(tmp_path, {"CLOCK_FILE": str(tmp_path / "clock")}, module="campaigns.clocked_server") as server,
        requester(server.commands) as rpc,
    ):
        (log,) = rpc.call("server.info")["logs"].values()

    assert abs(log["now_ms"] / 1000 - time.time() - AHEAD_S) < AHEAD_S / 2
