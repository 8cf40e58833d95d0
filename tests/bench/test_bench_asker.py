"""The client that asks while a herd ends: a process of its own, as what this one does would delay its requests."""

import os

from bench.herd import asked_by, asker
from drivers.peers import Requester
from local_server import LocalServer


def test_each_request_is_timed_until_it_is_told_to_stop(server: LocalServer, rpc: Requester) -> None:
    with asker(server.commands) as asking:
        while running(rpc) < 5:
            assert asking.poll() is None
        took_ms = asked_by(asking)
        assert asking.pid != os.getpid()
    assert len(took_ms) == running(rpc)
    assert took_ms == sorted(took_ms)
    assert took_ms[0] > 0


def running(rpc: Requester) -> int:
    """Timers that run: one for each request that was answered."""
    return int(rpc.call("server.info")["counts"]["running"])
