"""Servers on PostgreSQL: a start, and what it costs them to forward those that are another's."""

from bench.guarded.costs import echo
from bench.guarded.ratio import Ratio, Ratios, medians
from bench.on_postgres import SETTINGS, costs, name_of, start_rate
from bench.run import Run
from drivers.postgres import Cluster

REPETITIONS = 2
BATCH = 100
QUICK = Run(quick=True)

START = Ratio("an echo against a start on PostgreSQL", 0.6)
FORWARD = Ratio("a start at one server against one of which half are forwarded", 0.17)


def measured() -> Ratios:
    """Both, of batches."""
    with Cluster(standbys=1, is_fsynced=True, **SETTINGS) as cluster, echo() as reference:

        def once() -> Ratios:
            echo_us = reference.crowd_us()
            alone_us, two_us = (_servers_us(cluster, servers) for servers in (1, 2))
            return {START: echo_us / alone_us, FORWARD: alone_us / two_us}

        return medians([once() for _ in range(REPETITIONS)])


def _servers_us(cluster: Cluster, servers: int) -> float:
    """What a start costs all servers together."""
    *_, work = costs(name_of(servers, BATCH))
    return start_rate(QUICK, cluster, servers, BATCH)[work]
