"""A dead man's switch by `restart`: who does not check in for too long is reported, even if the whole machine is gone.

    python dead_mans_switch.py check-in backup --within 86400     the last line of the job
    python dead_mans_switch.py watch                              somewhere else

The watcher prints

    backup has not checked in for 86400 s

Alarms come from a queue: one that ends while nobody watches is told to whoever watches next, and several watchers share
them. An alarm comes at least once, so what it does should bear a second time.
"""

import argparse
import signal
from contextlib import suppress

from timer_client import LeaseLost, Timer, TimerClient, TimerNotFound

QUEUE, PREFIX = "alarms", "alive/"


def main() -> None:
    parser = argparse.ArgumentParser(description="Reports jobs that do not check in.")
    actions = parser.add_subparsers(dest="action", required=True)
    job = actions.add_parser("check-in", help="say that a job is alive")
    job.add_argument("job")
    job.add_argument("--within", type=float, default=86_400, metavar="SECONDS", help="until it has to do so again")
    actions.add_parser("watch", help="report jobs that have not")
    wanted = parser.parse_args()

    with TimerClient() as client:
        client.put_queue(QUEUE, PREFIX)  # before the first timer: a queue has the ends since it was made
        if wanted.action == "check-in":
            timer = check_in(client, wanted.job, wanted.within)
            print(f"{wanted.job} is alive, and has {timer.remaining_ms / 1000:g} s to say so again")
        else:
            watch(client)


def check_in(client: TimerClient, job: str, within_s: float) -> Timer:
    """Lets the job's timer run its full time again, from any state; the first time it starts it."""
    try:
        timer = client.restart(PREFIX + job)
    except TimerNotFound:
        return client.start(id=PREFIX + job, seconds=within_s, label=job)
    more_ms = round(within_s * 1000) - timer.duration_ms  # it was started with another time than it is to have now
    return client.extend(timer, seconds=more_ms / 1000) if more_ms else timer


def watch(client: TimerClient) -> None:
    """Reports jobs, until SIGTERM or Ctrl-C."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with suppress(KeyboardInterrupt):
        for end in client.work(QUEUE):
            with suppress(LeaseLost), end:  # where it is lost, another watcher has it
                with suppress(TimerNotFound):  # it ended so long ago that the server has forgotten it
                    if client.get(end.id).version > end.timer.version:
                        continue  # it has checked in since
                print(f"{end.timer.label} has not checked in for {end.timer.duration_ms / 1000:g} s", flush=True)


if __name__ == "__main__":
    main()
