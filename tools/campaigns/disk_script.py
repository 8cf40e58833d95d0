"""A fixed run of requests, what a client was told meanwhile, and what must be true of the timers afterwards."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import zmq

from drivers.peers import request, requester, socket_to

Timer = dict[str, Any]
Batch = list[tuple[str, dict[str, Any]]]

FORGOTTEN = "gone/"
"""Ids that begin so may go at any time: retention has outlived them before the run."""

_POLL_MS = 50
_SILENCE_LIMIT_MS = 10_000

_LEADS_TO = {
    "timer.start": "running",
    "timer.resume": "running",
    "timer.restart": "running",
    "timer.pause": "paused",
    "timer.cancel": "cancelled",
}
"""The state after a change; an extension leaves it as it was."""


def script() -> Iterator[Batch]:
    """Starts, changes and ends of all kinds, alone and in batches, small and large, with timers that fire meanwhile."""
    start, change = "timer.start", "timer.extend"
    yield [
        (start, {"id": f"a/{number}", "minutes": number, "label": "ä", "payload": [number]}) for number in range(1, 6)
    ]
    yield [(start, {"id": "short", "seconds": 0.05})]
    yield [("timer.pause", {"id": "a/1"})]
    yield [(change, {"id": "a/2", "minutes": 1.5, "key": "first"})]
    yield [("timer.cancel", {"id": "a/3"})]
    yield [("timer.restart", {"id": "a/4", "key": "again"})]
    yield [("timer.wait", {"id": "short", "wait_ms": 5_000})]
    yield [("timer.resume", {"id": "a/1"}), (change, {"id": "a/2", "seconds": -30}), (start, {"id": "b", "hours": 1})]
    yield [(change, {"id": "a/2", "minutes": 1.5, "key": "first"})]
    yield [(start, {"id": "large", "hours": 2, "payload": "x" * 9_000})]
    yield [(start, {"id": f"c/{number}", "hours": number + 1}) for number in range(20)]
    yield [("timer.cancel", {"id": f"c/{number}"}) for number in range(0, 20, 2)]
    yield [("timer.pause", {"id": "old/pending"})]
    yield [("timer.restart", {"id": "short"})]
    yield [("timer.restart", {"id": "c/0"}), ("timer.pause", {"id": "c/1"}), ("timer.cancel", {"id": "large"})]
    yield [("timer.wait", {"id": "short", "wait_ms": 5_000})]
    yield [("timer.resume", {"id": "c/1"})]


@dataclass
class Told:
    """What a client was told: each timer as it last was, and the batch that was not answered, or refused."""

    timers: dict[str, Timer] = field(default_factory=dict)
    changes: int = 0
    in_doubt: Batch = field(default_factory=list)

    def play(self, endpoint: str, batches: Iterator[Batch], has_ended: Callable[[], bool]) -> list[str]:
        """Sends batches one after the other until one is not acknowledged. Returns what was wrong with the replies."""
        with socket_to(zmq.DEALER, endpoint) as socket:
            for batch in batches:
                self.in_doubt = batch
                socket.send_json([request(method, at, **params) for at, (method, params) in enumerate(batch)])
                reply = _reply(socket, has_ended)
                if reply is None:
                    return []
                errors = [part["error"] for part in reply if "error" in part]
                if errors:
                    return _other_than_storage_failed(errors, len(batch))
                for part in reply:
                    self.timers[part["result"]["id"]] = part["result"]
                self.changes += len(batch)
                self.in_doubt = []
        return []

    def lost(self, found: Mapping[str, Timer]) -> list[str]:
        """What was acknowledged and is not there, or is different."""
        doubtful = {params["id"] for _, params in self.in_doubt}
        lost = []
        for name, told in self.timers.items():
            if name not in found:
                lost.append(f"{name}: acknowledged, and gone")
            elif name not in doubtful and (difference := _difference(told, found[name])) is not None:
                lost.append(f"{name}: {difference}")
        return lost

    def unasked(self, found: Mapping[str, Timer]) -> list[str]:
        """What nobody asked for. The batch in doubt has happened or it has not: all of it or nothing, and as asked."""
        asked = self.timers.keys() | {params["id"] for _, params in self.in_doubt}
        wrong = [f"{name}: nobody asked for it" for name in found.keys() - asked]
        happened = set()
        for method, params in self.in_doubt:
            told, timer = self.timers.get(params["id"]), found.get(params["id"])
            if timer is None or (told is not None and _difference(told, timer) is None):
                happened.add(False)
                continue
            happened.add(True)
            version, state = (told["version"], told["state"]) if told else (0, "")
            if timer["state"] not in {_LEADS_TO.get(method, state), "fired"} or timer["version"] > version + 2:
                wrong.append(f"{params['id']}: {timer['state']} in version {timer['version']} after {method}")
        if len(happened) > 1:
            wrong.append(f"a part of a batch has happened: {self.in_doubt}")
        return wrong


def all_timers(endpoint: str) -> dict[str, Timer]:
    """Every timer that a server has, by id, without those that it may forget."""
    found: dict[str, Timer] = {}
    after: dict[str, str] = {}
    with requester(endpoint) as rpc:
        while True:
            page = rpc.call("timer.list", limit=1000, **after)
            found |= {timer["id"]: timer for timer in page["timers"] if not timer["id"].startswith(FORGOTTEN)}
            if page["next"] is None:
                return found
            after = {"after": page["next"]}


def _difference(told: Timer, found: Timer) -> str | None:
    """What sets a timer apart from what was told of it; that it has fired since is no difference."""
    ignored = {"remaining_ms"} if told["state"] == "running" else set()
    if told["state"] == "running" and found["state"] == "fired":
        if found["ended_at_ms"] < told["due_at_ms"] or found["version"] != told["version"] + 1:
            return f"fired at {found['ended_at_ms']}, was due at {told['due_at_ms']}"
        ignored |= {"state", "ended_at_ms", "version"}
    differing = [name for name in told if name not in ignored and told[name] != found[name]]
    return ", ".join(f"{name} was {told[name]}, is {found[name]}" for name in differing) or None


def _reply(socket: zmq.Socket[bytes], has_ended: Callable[[], bool]) -> list[dict[str, Any]] | None:
    """The reply to a batch; None where the server ends without one."""
    for _ in range(_SILENCE_LIMIT_MS // _POLL_MS):
        is_over = has_ended()
        if socket.poll(_POLL_MS):
            parts: list[dict[str, Any]] = json.loads(socket.recv())
            return sorted(parts, key=lambda part: int(part["id"]))
        if is_over:
            return None
    raise TimeoutError("the server neither answers nor ends")


def _other_than_storage_failed(errors: list[dict[str, Any]], asked: int) -> list[str]:
    names = {error["data"]["name"] for error in errors}
    if names == {"storage_failed"} and len(errors) == asked:
        return []
    return [f"{len(errors)} of {asked} requests were answered {sorted(names)}"]
