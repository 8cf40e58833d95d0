"""A worker that is killed: what it held goes to another one, and what it had acknowledged does not."""

import signal
import sys
from pathlib import Path

from client.command import environment
from drivers.both_clients import quick
from drivers.program import Program
from local_server import LocalServer
from timer_client import TimerClient

WORKER = """
import threading
from timer_client import TimerClient
with TimerClient() as client:
    for delivery in client.work("q", concurrency=2):
        if delivery.id == "done":
            delivery.ack()
        else:
            print("has", delivery.id, flush=True)
            threading.Event().wait()
"""


def test_another_one_handles_what_a_killed_worker_held(server: LocalServer, tmp_path: Path) -> None:
    with TimerClient(settings=quick(server.commands, server.events, timeout_s=5)) as client:
        client.put_queue("q", "", lease_ms=1000)
        client.start(seconds=0.01, id="done")
        client.start(seconds=0.02, id="held")
        killed = Program([sys.executable, "-c", WORKER], environment(server), tmp_path)
        try:
            killed.expect("has held")
            client.start(seconds=0.01, id="next")
            with client.work("q") as work:
                handled = []
                for delivery in work:
                    delivery.ack()
                    handled.append((delivery.id, delivery.attempt))
                    if len(handled) == 1:
                        killed.signal(signal.SIGKILL)
                    else:
                        work.stop()
        finally:
            killed.close()
        assert handled == [("next", 1), ("held", 2)]
        queue = client.get_queue("q")
        assert (queue.ready, queue.leased, queue.delayed, queue.dead) == (0, 0, 0, 0)
