"""Jobs that workers of beanstalkd reserve and delete."""

from collections.abc import Mapping
from functools import partial

from bench.generator import drive, lines
from bench.peers.alternative import Alternative
from bench.peers.beanstalkd_server import DURABILITY, INSERTED, beanstalkd, put
from bench.peers.redis_requests import together
from bench.run import Run
from bench.sharing import TOGETHER, WORKERS, share
from bench.start_requests import PAYLOAD_JSON

SYNC_MS = 0
PUT_TOGETHER = 100
NAMES = {
    1: f"beanstalkd -f{SYNC_MS}: {WORKERS} workers, one after another",
    TOGETHER: f"beanstalkd -f{SYNC_MS}: {WORKERS} workers, {TOGETHER} in one piece",
}
"""The rows, by how many commands a worker sends before it reads the replies. The clients that there are send one."""


def share_rate(run: Run, together_sent: int) -> Mapping[str, float]:
    """Jobs a second."""
    how_many = run.pick(2_000, 5_000)
    with beanstalkd(SYNC_MS) as process:
        jobs = [put(b"order/%d %b" % (number, PAYLOAD_JSON), delay_s=0) for number in range(how_many)]
        drive(lines(process.endpoint, INSERTED, PUT_TOGETHER), together(jobs, PUT_TOGETHER), 1, 8)
        shared = share(how_many, "bench.peers.beanstalkd_queue_worker", str(process.port), str(together_sent))
        return {NAMES[together_sent]: shared.rate}


def alternatives(run: Run) -> list[Alternative]:
    """For the figure of queues."""
    return [
        Alternative({name: "ends/s"}, DURABILITY[SYNC_MS], partial(share_rate, run, together_sent))
        for together_sent, name in NAMES.items()
    ]
