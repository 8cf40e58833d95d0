"""Timers for tests: the real server in the test's own process, on a clock that stands until the test moves it.

def test_a_hold_is_released(timer_server):  # the fixture of `timer_testing.pytest_plugin`
    with timer_server.client() as timers:
        timers.start("hold/7", minutes=15)
        timer_server.advance(minutes=15)
        assert timers.get("hold/7").state == "fired"
"""

from timer_testing.server import TimerServer

__all__ = ["TimerServer"]
