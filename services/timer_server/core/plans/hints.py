"""What is told of plans beside the events of their timers: moments that were skipped."""

from collections.abc import Sequence

from timer_protocol.plan_messages import Skipped
from timer_server.core.entries import PlanEntry, PlanPart
from timer_server.core.ledger import Changes
from timer_server.core.plans.standing import decode_standing


def skipped_moments(changes: Changes) -> Sequence[Skipped]:
    """The moments that plans have skipped in the changes of a turn, in order."""
    return [
        Skipped(entry.plan, row.first_ms, row.last_ms, row.count, row.reason)
        for entry in changes.entries
        if isinstance(entry, PlanEntry)
        and entry.part is PlanPart.SKIPPED
        and (row := decode_standing(entry.body).row) is not None
    ]
