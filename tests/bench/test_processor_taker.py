"""Programs that only take processor time, as much as others took."""

import time

import pytest

from bench.cpu_time import process_ns
from bench.gateway_streams import Taken
from bench.servers import python_process

LIMIT_S = 30.0


def test_it_takes_time_until_its_input_ends() -> None:
    with python_process("bench.processor_taker", "200", "50") as taker:
        begun_ns, limit_s = process_ns(taker.pid), time.monotonic() + LIMIT_S
        while process_ns(taker.pid) - begun_ns < 200_000_000:
            assert taker.poll() is None
            assert time.monotonic() < limit_s, "it takes no time"
            time.sleep(0.01)
    assert taker.returncode == 0


def test_the_shares_are_those_that_were_taken() -> None:
    taken = Taken(gateway=40.0, readers=4.0, requests=12.0)
    few, many = (taken.of_gateway(streams) for streams in (100, 1_000))
    for rhythms in (few, many):
        assert sum(percent for _, percent in rhythms) == pytest.approx(40.0)
        assert [wakes for wakes, _ in rhythms] == [10, 500]
    assert taken.of_its_clients() == [(10, 4.0), (500, 12.0)]
    assert few[0][1] < many[0][1] < 40.0
