"""Ends: of a herd that a watcher hears, of plans, and of a queue whose workers take and acknowledge them."""

import time

from bench import queues
from bench.cpu_time import process_ns
from bench.generator import drive, zmtp
from bench.guarded.costs import Echo, cost_us, echo
from bench.guarded.ratio import Ratio, Ratios, medians
from bench.listening import heard_by, watcher
from bench.plans import put
from bench.run import Run
from bench.servers import server
from bench.start_requests import in_columns
from drivers.peers import requester

REPETITIONS = 3
HERD = 10_000
HERD_DUE_S = 0.8
PLANS, OFTEN = 2_000, 500
OCCURRING_S = 2.0
QUICK = Run(quick=True)

IN_A_HERD = Ratio("an echo against an end that a watcher hears", 0.45)
OF_A_QUEUE = Ratio("an echo against an end taken and acknowledged, by the server", 0.7)
BY_A_WORKER = Ratio("an echo against an end taken and acknowledged, by the worker", 0.5)
PLAN_PUT = Ratio("an echo against a plan that is put", 0.1)
OCCURRENCE = Ratio("an echo against an end of a plan and the start of the next", 0.2)


def herds() -> Ratios:
    """The herd."""
    with echo() as reference:
        return medians([_herd(reference) for _ in range(REPETITIONS)])


def _herd(reference: Echo) -> Ratios:
    echo_us = reference.crowd_us()
    with server() as process, watcher(process.events, "herd", HERD) as listener:
        drive(zmtp(process.commands), in_columns("herd", range(HERD), 500, seconds=HERD_DUE_S), 1, 8)
        return {IN_A_HERD: echo_us / cost_us(process.pid, HERD, lambda: heard_by(listener))}


def of_queues() -> Ratios:
    """The queue."""
    with echo() as reference:
        return medians([_shared(reference) for _ in range(REPETITIONS)])


def _shared(reference: Echo) -> Ratios:
    echo_us = reference.crowd_us()
    costs = queues.share_rate(QUICK)
    return {OF_A_QUEUE: echo_us / costs[queues.SERVER_CPU], BY_A_WORKER: echo_us / costs[queues.WORKERS_CPU]}


def of_plans() -> Ratios:
    """Plans that are put, and plans that come every second."""
    with echo() as reference:
        return medians([_planned(reference) for _ in range(REPETITIONS)])


def _planned(reference: Echo) -> Ratios:
    echo_us = reference.crowd_us()
    with server() as process, server() as often, requester(often.commands) as rpc:
        put_us = cost_us(process.pid, PLANS, lambda: put(process, "plan", PLANS, every={"hours": 10}))
        put(often, "often", OFTEN, every={"seconds": 1})
        before, before_ns = rpc.call("server.info")["counts"]["fired"], process_ns(often.pid)
        time.sleep(OCCURRING_S)
        fired, spent_ns = rpc.call("server.info")["counts"]["fired"] - before, process_ns(often.pid) - before_ns
        return {PLAN_PUT: echo_us / put_us, OCCURRENCE: echo_us / (spent_ns / 1000 / fired)}
