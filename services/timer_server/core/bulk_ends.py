"""Ends of many timers in one step: versions that are the last, and whose events are made from columns as well."""

from collections.abc import Iterable
from itertools import count, repeat

from msgspec import Raw

from timer_protocol import messages
from timer_server.core.bulk_effects import ended
from timer_server.core.bulk_versions import BulkVersions, Step
from timer_server.core.model import FIRED
from timer_server.core.records import Columns


class Ends(BulkVersions):
    """Ends of one kind at a moment. Timers that were paused before have no deadline."""

    def __init__(self, before: Columns, step: Step, place: int, others: int) -> None:
        super().__init__(before, ended(before), step, place, others)

    @property
    def state(self) -> messages.State:
        """The state of the timers from now on."""
        return "fired" if self.kind_number == FIRED else "cancelled"

    def views(self, log_id: str) -> Iterable[messages.Event]:
        before = self.before
        if any(before.revisions):
            return super().views(log_id)
        at_ms, state, kind = repeat(self.at_ms), repeat(self.state), repeat(self.kind)
        timers = map(
            messages.Timer,
            before.ids,
            before.labels,
            state,
            before.hours,
            before.minutes,
            before.seconds,
            before.durations_ms,
            repeat(0),
            before.started_ms,
            before.dues_ms,
            at_ms,
            repeat(2),
            map(Raw, before.payloads),
        )
        return map(messages.Event, repeat(log_id), count(self.place - self.others), kind, at_ms, timers)
