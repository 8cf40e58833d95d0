"""Timers and entries as the plain service tells them."""

import json
from typing import Any

import msgspec

from drivers.builders import LOG_ID
from timer_server.core.entries import OtherEntry, QueueEntry
from timer_server.core.model import Countdown, Entry
from timer_server.store.log import Log


def entry_view(entry: Entry, log: Log) -> dict[str, Any]:
    if isinstance(entry, QueueEntry):
        part, body = entry.part.name.lower(), json.loads(entry.body)
        return {"place": entry.place, "at_ms": entry.at_ms, "queue": entry.queue, "part": part, "body": body}
    if isinstance(entry, OtherEntry):
        return {"place": entry.place, "at_ms": entry.at_ms, "is_start": True}
    return event_view(entry if isinstance(entry, Countdown) else entry.with_spec_of(log.holder(entry.spec_place)))


def timer_view(timer: Countdown, now_ms: int) -> dict[str, Any]:
    view: dict[str, Any] = json.loads(msgspec.json.encode(timer.view(now_ms)))
    return view


def event_view(event: Countdown) -> dict[str, Any]:
    view = json.loads(msgspec.json.encode(event.event_view(LOG_ID)))
    assert view.pop("log") == LOG_ID
    return {**view, "id": event.id, "place": event.place, "spec_place": event.spec_place or None}
