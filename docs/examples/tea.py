"""A countdown in ten lines: starts a timer, and waits for its end through every outage.

    python tea.py [SECONDS]

takes four minutes unless it is told otherwise, and prints

    tea takes 240 s, until 14:30:00
    tea has fired
"""

import sys
import time

from timer_client import TimerClient


def main(seconds: float = 240) -> None:
    with TimerClient() as client:
        timer = client.start(seconds=seconds, label="tea")
        until = time.strftime("%H:%M:%S", time.localtime(time.time() + seconds))
        print(f"{timer.label} takes {seconds:g} s, until {until}")
        ended = client.wait(timer)
        print(f"{ended.label} has {'fired' if ended.state == 'fired' else 'been cancelled'}")


if __name__ == "__main__":
    main(*map(float, sys.argv[1:2]))
