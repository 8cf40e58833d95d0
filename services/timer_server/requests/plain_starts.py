"""Plain starts, of a batch or of several messages: applied in one step, where none of them can be refused.

A start is plain where it asks for an amount of time and has no trace. What each is answered is what it would be as a
message of its own, at the same moment.
"""

from collections.abc import Callable, Iterable, Sequence
from itertools import repeat
from typing import Any

from msgspec import UNSET, UnsetType
from msgspec.structs import astuple

from timer_protocol.codec import MethodCall, RequestId, Result
from timer_protocol.durations import NS_PER_MS
from timer_protocol.messages import StartParams, Timer
from timer_protocol.sender import Sender
from timer_server.core.bulk_starts import Begun, Starts
from timer_server.requests.room import ReplyRoom
from timer_server.requests.shard import Shard

FEW = 8
"""Fewer starts of a batch than these cost no less together than one after the other."""

FEW_APART = 12
"""The same of starts that came in messages of their own."""


class PlainStarts:
    """Applies starts in a shard that has all timers. `kind` is the type of their calls, and `new_id` makes an id at a
    moment, which begins with a prefix."""

    def __init__(self, kind: type[MethodCall], shard: Shard, new_id: Callable[[int, str], str]) -> None:
        self.kind = kind
        self._shard = shard
        self._new_id = new_id

    def apply(
        self, calls: Sequence[MethodCall], room: ReplyRoom, now_ns: int, sender: Sender
    ) -> Sequence[Result] | None:
        """The results of some calls of `timer.start`; None, and nothing has changed, where one might be refused, is not
        plain, or is a notification."""
        request_ids = [call.id for call in calls]
        if len(calls) < FEW or UNSET in request_ids:
            return None
        starts = self._starts([call.params for call in calls], now_ns, sender.prefix)
        if starts is None or not _may_start(sender, starts.ids):
            return None
        payload_bytes = sum(map(len, starts.payloads or ()))
        if room.left_entries <= 0 or payload_bytes > room.left_bytes:
            return None
        results = self._started(starts, request_ids, now_ns)
        if results is not None:
            room.left_bytes -= payload_bytes
        return results

    def is_plain(self, call: MethodCall) -> bool:
        """Whether a start is plain, and no notification."""
        params: StartParams = call.params
        is_usual = params.at is None and params.zone is None and params.past == _PAST and params.trace is UNSET
        return is_usual and call.id is not UNSET

    def apply_apart(self, calls: Sequence[MethodCall], now_ns: int) -> Sequence[Result] | None:
        """The results of plain starts that came in messages of their own, and that their senders may ask for; None, and
        nothing has changed, where one might be refused."""
        if len(calls) < FEW_APART:
            return None
        starts = self._starts([call.params for call in calls], now_ns, "")
        return None if starts is None else self._started(starts, [call.id for call in calls], now_ns)

    def _started(
        self, starts: Starts, request_ids: Sequence[RequestId | UnsetType], now_ns: int
    ) -> Sequence[Result] | None:
        """The results of starts, each with the id of its request; None, and nothing has changed, where one might be
        refused."""
        begun = self._shard.engine.bulk_starts.start(starts, len(request_ids), self._shard.at(now_ns))
        if begun is None:
            return None
        return list(map(Result, _views(starts, begun), request_ids))  # type: ignore[arg-type]  # none is unset

    def _starts(self, params: Sequence[StartParams], now_ns: int, prefix: str) -> Starts | None:
        """Params in columns; None where one is not plain. Who has named no id gets one that begins with a prefix."""
        ids, hours, minutes, seconds, labels, payloads, *others = zip(*map(astuple, params), strict=True)
        if not all(column.count(usual) == len(params) for column, usual in zip(others, _USUAL, strict=True)):
            return None
        if None in ids:
            ids = tuple(self._new_id(now_ns // NS_PER_MS, prefix) if one is None else one for one in ids)
        return Starts(ids, seconds, labels, payloads, hours=hours, minutes=minutes)


_USUAL = astuple(StartParams())[-4:]
"""Of `at`, `zone`, `past` and `trace` what a plain start has."""

_PAST = _USUAL[2]


def _may_start(sender: Sender, ids: Sequence[str]) -> bool:
    """Whether a client may start timers with these ids."""
    return "start" in sender.rights and (not sender.prefix or all(map(str.startswith, ids, repeat(sender.prefix))))


def _views(starts: Starts, begun: Begun) -> Iterable[Timer]:
    """The timers as they go over the wire at the moment at which they were started: see `Countdown.view`."""
    asked: Any = starts  # all of its columns are there
    at_ms, durations = begun
    return map(
        Timer,
        asked.ids,
        asked.labels,
        repeat("running"),
        asked.hours,
        asked.minutes,
        asked.seconds,
        durations,
        durations,
        repeat(at_ms),
        map(at_ms.__add__, durations),
        repeat(None),
        repeat(1),
        asked.payloads,
    )
