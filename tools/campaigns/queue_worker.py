"""`python -m campaigns.queue_worker`: a worker of a queue, which may be killed at any moment.

Arguments: an endpoint, a queue, a folder for its notes, a name, and a seed; `drain` behind them for one that only takes
and acknowledges. It runs until it is killed.
"""

import json
import sys
import time
from collections import defaultdict
from itertools import count
from pathlib import Path
from random import Random
from typing import Any

import zmq

from campaigns.queue_notes import Asked, Notebook, Told, now_ms

REPLY_LIMIT_MS = 500
"""How long a reply may take beside what the request waits for; then the same is asked again."""

MOST_TAKEN = 16
WAITS_MS = (0, 100, 400)
REPEATED = 0.15
"""The part of takes that are asked again though they were answered, as if the reply had been lost."""

LATEST_REPEAT_S = 1.0
LATE_S = (0.0, 2.5)
"""When a request comes that is late: before its lease has run out, or after."""

FATES = {
    "ack": 60,
    "ack twice": 10,
    "renew, ack": 8,
    "retry": 7,
    "return": 4,
    "dead": 1,
    "ack late": 6,
    "renew late": 4,
    "leave": 4,
}
"""What becomes of a delivery, by how often."""


class Worker:
    """Takes ends, does to each what chance says, and notes all that it asks and is told."""

    def __init__(self, endpoint: str, queue: str, notebook: Notebook, name: str, dice: Random) -> None:
        self._endpoint = endpoint
        self._queue = queue
        self._notebook = notebook
        self._name = name
        self._dice = dice
        self._calls = count(1)
        self._context = zmq.Context()
        self._socket = self._connected()
        self._late: list[tuple[float, str, list[str]]] = []

    def close(self) -> None:
        """Lets go of the connection."""
        self._socket.close(0)
        self._context.term()

    def drain(self) -> None:
        """Takes and acknowledges, on and on."""
        while True:
            if deliveries := self.ask("queue.take", key=self._key(), max=100, wait_ms=WAITS_MS[-1])["deliveries"]:
                self._settle("ack", [delivery["receipt"] for delivery in deliveries])

    def run(self) -> None:
        """Works on and on."""
        while True:
            by_fate: dict[str, list[str]] = defaultdict(list)
            for delivery in self._take():
                (fate,) = self._dice.choices(list(FATES), list(FATES.values()))
                by_fate[fate].append(delivery["receipt"])
            for fate, receipts in by_fate.items():
                self._settle(fate, receipts)
            self._catch_up()

    def _take(self) -> list[dict[str, Any]]:
        params = {"key": self._key(), "max": self._dice.randint(1, MOST_TAKEN), "wait_ms": self._dice.choice(WAITS_MS)}
        deliveries: list[dict[str, Any]] = self.ask("queue.take", **params)["deliveries"]
        if deliveries and self._dice.random() < REPEATED:
            time.sleep(self._dice.uniform(0, LATEST_REPEAT_S))  # the reply was lost, and this is the time-out
            deliveries = self.ask("queue.take", **params)["deliveries"]
        return deliveries

    def _settle(self, fate: str, receipts: list[str]) -> None:
        match fate:
            case "ack":
                self.ask("queue.ack", receipts=receipts)
            case "ack twice":
                self.ask("queue.ack", receipts=receipts)
                self.ask("queue.ack", receipts=receipts[::-1])
            case "renew, ack":
                self.ask("queue.renew", receipts=receipts)
                self.ask("queue.ack", receipts=receipts)
            case "retry" | "return" | "dead":
                self.ask("queue.nack", receipts=receipts, then=fate, reason=f"{fate} by {self._name}")
            case "ack late" | "renew late":
                at_s = time.monotonic() + self._dice.uniform(*LATE_S)
                self._late.append((at_s, f"queue.{fate.removesuffix(' late')}", receipts))
            case "leave":
                pass  # as a worker that hangs would

    def _catch_up(self) -> None:
        due = [late for late in self._late if late[0] <= time.monotonic()]
        for late in due:
            self._late.remove(late)
            _, method, receipts = late
            self.ask(method, receipts=receipts)

    def _key(self) -> str:
        return f"{self._name}/{next(self._calls)}"

    def ask(self, method: str, **params: Any) -> dict[str, Any]:
        """Asks until it is told, and returns the result."""
        call = next(self._calls)
        params["queue"] = self._queue
        self._notebook.write(Asked(self._name, call, now_ms(), method, params))
        message = json.dumps({"jsonrpc": "2.0", "id": call, "method": method, "params": params}).encode()
        for tries in count(1):
            self._socket.send(message)
            if self._socket.poll(REPLY_LIMIT_MS + params.get("wait_ms", 0)):
                reply = json.loads(self._socket.recv())
                error = reply["error"]["data"]["name"] if "error" in reply else None
                self._notebook.write(Told(self._name, call, now_ms(), tries, reply.get("result"), error))
                if error is not None:
                    sys.exit(f"{method}: {error}")
                result: dict[str, Any] = reply["result"]
                return result
            self._socket.close(0)
            self._socket = self._connected()
        raise AssertionError

    def _connected(self) -> zmq.Socket[bytes]:
        socket = self._context.socket(zmq.REQ)
        socket.reconnect_ivl = 20
        socket.connect(self._endpoint)
        return socket


def main(endpoint: str, queue: str, folder: str, name: str, seed: str, *mode: str) -> None:
    """Runs a worker."""
    worker = Worker(endpoint, queue, Notebook(Path(folder), name), name, Random(seed))  # noqa: S311
    if mode == ("drain",):
        worker.drain()
    else:
        worker.run()


if __name__ == "__main__":
    main(*sys.argv[1:])
