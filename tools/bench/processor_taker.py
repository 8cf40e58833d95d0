"""Takes processor time and does nothing else, as a program does that something wakes up all the time.

Arguments: how many times a second it is woken up, and the share of a core, in percent, that it takes by that. Ends with
its input.
"""

import select
import sys
import time
from typing import TextIO


def take(told: TextIO, wakes_a_second: float, percent: float) -> None:
    """Takes that share of a core, whatever it has to wait for, until there is no more input."""
    begun_s, taken_before_ns, woken = time.perf_counter(), time.process_time_ns(), 0
    while not select.select([told], [], [], max(0.0, begun_s + woken / wakes_a_second - time.perf_counter()))[0]:
        woken += 1
        owed_ns = int(1e9 * percent / 100 * woken / wakes_a_second)
        while time.process_time_ns() - taken_before_ns < owed_ns:
            pass


if __name__ == "__main__":
    take(sys.stdin, float(sys.argv[1]), float(sys.argv[2]))
