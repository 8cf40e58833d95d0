"""`python -m campaigns.crowd_ear SERVERS EVENTS FILE`: writes down when each end of a crowd was heard.

It is a process of its own, as it has to keep up with thousands a second. All processes of a machine share the clock. It
ends when its input does.
"""

import sys
import threading
import time

from campaigns.clients import PATIENCE_S
from campaigns.crowd import PREFIX
from timer_client import Cursor, Settings, TimerClient
from timer_client.errors import ClientClosed


def main(servers: str, events: str, path: str) -> None:
    """Hears all from the beginning on."""
    settings = Settings(server=servers, events=events, timeout_s=1, retry_deadline_s=PATIENCE_S, retry_max_s=0.2)
    with TimerClient(settings=settings) as client, open(path, "w", buffering=1 << 12) as file:  # noqa: PTH123
        threading.Thread(target=_end_with_input, args=(client,), daemon=True).start()
        try:
            for event in client.events(PREFIX, after=Cursor()):
                if event.kind == "fired":
                    file.write(f"{event.timer.id.removeprefix(PREFIX)} {time.monotonic()}\n")
                    file.flush()
        except ClientClosed:
            pass


def _end_with_input(client: TimerClient) -> None:
    sys.stdin.read()
    client.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
