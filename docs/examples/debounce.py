"""Debounce by `extend`: many changes, one action, once it has been quiet for a while; but never later than it may be.

    python debounce.py [--quiet SECONDS] [--most SECONDS] [--changes N] [--every SECONDS]

plays somebody who types, and prints

    change 1: saves in 2.0 s
    change 2: saves in 2.0 s
    change 3: saves in 2.0 s
    saved 3.0 s after the first change

The countdown is on the server, so each change may come from another process, and the action from a queue's worker.
"""

import argparse

from timer_client import Timer, TimerClient, WrongState, new_id


def main() -> None:
    parser = argparse.ArgumentParser(description="Many changes, one action.")
    parser.add_argument(
        "--quiet", type=float, default=2, metavar="SECONDS", help="without a change, before it is saved"
    )
    parser.add_argument("--most", type=float, default=10, metavar="SECONDS", help="after the first change it is saved")
    parser.add_argument("--changes", type=int, default=3, metavar="N")
    parser.add_argument("--every", type=float, default=0.5, metavar="SECONDS", help="between two changes")
    wanted = parser.parse_args()

    document = f"save/{new_id()}"
    with TimerClient() as client:
        for number in range(1, wanted.changes + 1):
            timer = changed(client, document, wanted.quiet, wanted.most)
            print(f"change {number}: saves in {timer.remaining_ms / 1000:.1f} s", flush=True)
            timer = client.wait(timer, timeout_s=wanted.every if number < wanted.changes else None)
            if timer.ended:
                print(f"saved {timer.duration_ms / 1000:.1f} s after the first change", flush=True)


def changed(client: TimerClient, document: str, quiet_s: float, most_s: float) -> Timer:
    """Notes a change: the timer has `quiet_s` to go again, or less where `most_s` since the first change is near."""
    timer = client.start(id=document, seconds=quiet_s)  # by the first change; the others get the timer as it stands
    if timer.ended:
        return client.restart(timer)  # the first change since the last action
    passed_ms = timer.duration_ms - timer.remaining_ms  # extensions are part of the duration
    more_ms = min(quiet_s * 1000, most_s * 1000 - passed_ms) - timer.remaining_ms
    if more_ms < 1:
        return timer
    try:
        return client.extend(timer, seconds=more_ms / 1000)
    except WrongState:  # it has fired just now
        return client.restart(timer)


if __name__ == "__main__":
    main()
