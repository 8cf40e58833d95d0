"""Workers of a queue where a process ends or is forked: the server, or their own."""

import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from client.command import environment
from client.workers import end_timers, patient, queue_counts
from drivers.both_clients import LIMIT_S, Driver
from drivers.server_process import ServerProcess
from local_server import LocalServer
from timer_client import TimerClient

Connect = Callable[..., Driver]


def test_it_survives_a_restart_of_the_server(server_process: ServerProcess, connect: Connect) -> None:
    with TimerClient(settings=patient(server_process)) as rest:
        with connect(patient(server_process)).work("q", "", concurrency=2) as work:
            end_timers(rest, "before")
            delivery = next(work)
            rest.start(seconds=0.1, id="after")
            server_process.kill()
            restarted = threading.Thread(target=server_process.start)
            restarted.start()
            delivery.ack()
            with next(work) as delivery:
                assert delivery.id == "after"
            restarted.join(LIMIT_S)
        assert queue_counts(rest) == (0, 0, 0, 0)


FORKED = """
import os
from timer_client import TimerClient
client = TimerClient()
work = client.work("q")
delivery = next(work)
if child := os.fork():
    assert os.waitpid(child, 0)[1] == 0
    print(client.get_queue("q").leased)
    delivery.ack()
    work.close()
else:
    work.close()
    os._exit(0 if list(work) == [] else 1)
"""


def test_a_fork_does_not_give_back_what_the_parent_holds(
    server: LocalServer, rest: TimerClient, tmp_path: Path
) -> None:
    rest.put_queue("q", "")
    end_timers(rest, "a")
    assert _printed(FORKED, server, tmp_path) == "1\n"
    assert queue_counts(rest) == (0, 0, 0, 0)


LEFT_OPEN = """
import threading
from timer_client import TimerClient
client = TimerClient()
work = client.work("q", concurrency=2)
held = next(work)
def handle():
    for delivery in client.work("q"):
        pass
threading.Thread(target=handle, daemon=True).start()
print(held.id)
"""


def test_a_worker_that_is_left_open_does_not_hold_up_the_end_of_the_process(
    server: LocalServer, rest: TimerClient, tmp_path: Path
) -> None:
    rest.put_queue("q", "")
    end_timers(rest, "a")
    assert _printed(LEFT_OPEN, server, tmp_path) == "a\n"


def _printed(program: str, server: LocalServer, folder: Path) -> str:
    """What a program prints that ends well and complains of nothing but that it forks with threads."""
    ran = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", program],
        check=False,
        env=environment(server),
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    return ran.stdout
