"""Countdowns one after the other: a plan of steps, which the server runs also while nobody watches.

    python pomodoro.py [--work MINUTES] [--rest MINUTES] [--rounds N]

prints

    work for 25 min
    work is over, rest for 5 min
    rest is over, work for 25 min
    ...
    rest is over, 4 rounds done

Ctrl-C takes the plan away. Kill it instead, and the plan goes on: `timer plan ls` shows it.
"""

import argparse
from contextlib import suppress

from timer_client import Step, TimerClient, new_id


def main() -> None:
    parser = argparse.ArgumentParser(description="Work and rest in turns.")
    parser.add_argument("--work", type=float, default=25, metavar="MINUTES")
    parser.add_argument("--rest", type=float, default=5, metavar="MINUTES")
    parser.add_argument("--rounds", type=int, default=4, metavar="N")
    wanted = parser.parse_args()

    steps = [Step(minutes=wanted.work, label="work"), Step(minutes=wanted.rest, label="rest")]
    name = f"pomodoro/{new_id()}"  # made once: a repeated put is the same plan
    with TimerClient() as client:
        before = client.info().cursor  # so that the first start is heard too
        try:
            client.put_plan(name, steps=steps, count=wanted.rounds)
            follow(client, name, before, ends=len(steps) * wanted.rounds)
            print(f"{wanted.rounds} rounds done")
        except KeyboardInterrupt:
            client.delete_plan(name)
            print("\nstopped")


def follow(client: TimerClient, name: str, after: dict[str, int], ends: int) -> None:
    """Tells each step of the plan, until as many of them have ended."""
    for event in client.events(f"{name}~", after=after):  # the timers of a plan are called PLAN~MOMENT
        if event.kind == "started":
            print(f"{event.timer.label} for {event.timer.duration_ms / 60_000:g} min", flush=True)
        elif event.timer.ended:
            print(f"{event.timer.label} is over, ", end="", flush=True)
            ends -= 1
            if ends == 0:
                return


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):  # before there is a plan; or once more, while a server that is away is waited for
        main()
