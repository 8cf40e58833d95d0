"""What the clients do to many timers at once: as many requests as that takes, one after the other.

A `Talk` makes the calls and takes their results, without a socket, so that it is written once for both clients. Its ids
and keys are the same at each try, so repeating all of it does nothing twice.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from timer_client.arguments import is_number, several, texts, wrong_kind
from timer_client.calls import Call, Talk, id_of, new_id
from timer_client.encoding import encoded
from timer_client.errors import InvalidArgument, LimitReached
from timer_client.session import BYTES_PER_MESSAGE
from timer_protocol.limits import PAGE_MAXIMUM
from timer_protocol.many import Action, ChangedMany, ChangeManyParams, RefusedStart, StartedMany
from timer_protocol.messages import State, Timer
from timer_protocol.plurals import counted
from timer_protocol.traces import Trace

IDS_PER_MESSAGE = 1000
"""Most timers in a message: as many as a server takes by default."""


class Columns(Struct, frozen=True, omit_defaults=True):
    """Timers to start, in columns of equal length; `seconds` and `traces` may be one for all."""

    ids: Sequence[str]
    seconds: Any
    labels: Sequence[str] | None = None
    payloads: Sequence[Any] | None = None
    traces: Trace | Sequence[Trace | None] | None = None

    def check(self) -> None:
        """Raises `InvalidArgument` where a column has another length than the ids."""
        for name in ("seconds", "labels", "payloads", "traces"):
            column, count = getattr(self, name), len(self.ids)
            if isinstance(column, list) and len(column) != count:
                found, wanted = counted(len(column), "element"), counted(count, "id")
                raise InvalidArgument(f"{name} has {found}, but must have one for each of {wanted}")

    def part(self, first: int, count: int) -> "Columns":
        """Some of them."""
        rows = slice(first, first + count)
        return Columns(
            self.ids[rows],
            self.seconds[rows] if isinstance(self.seconds, list) else self.seconds,
            None if self.labels is None else self.labels[rows],
            None if self.payloads is None else self.payloads[rows],
            self.traces[rows] if isinstance(self.traces, list) else self.traces,
        )


def start_page(columns: Columns) -> Call[StartedMany]:
    """Start timers in one message."""
    return Call("timer.start_many", encoded(columns), StartedMany)


def change_page(params: ChangeManyParams) -> Call[ChangedMany]:
    """Change a page of timers."""
    return Call("timer.change_many", encoded(params), ChangedMany)


def start_columns(
    ids: Iterable[str],
    seconds: float | Sequence[float],
    *,
    labels: Sequence[str] | None = None,
    payloads: Sequence[Any] | None = None,
    traces: Trace | Sequence[Trace | None] | None = None,
) -> Talk[StartedMany]:
    """Start any number of timers, given in columns: `ids`, and `seconds`, one number for all or one for each.

    For many timers this costs less than `start_many`, as no timer comes back: the result says how many were `started`,
    the indexes of those that were `existing` already, and those `refused`, each with its error. Starting the same again
    starts nothing twice.
    """
    columns = Columns(
        texts("ids", ids, "a list of ids"),
        seconds if is_number(seconds) else several("seconds", seconds, "a number, or a list of them"),
        None if labels is None else texts("labels", labels, "a list of texts"),
        None if payloads is None else several("payloads", payloads, "a list"),
        traces if isinstance(traces, Trace | None) else _several_traces(traces),
    )
    columns.check()
    return (yield from _start_in_parts(columns))


def change_many(  # noqa: PLR0913 - the protocol's words
    action: Action,
    *,
    prefix: str | None = None,
    ids: Iterable[Timer | str] | None = None,
    states: Sequence[State] = ("running", "paused"),
    seconds: float | None = None,
    key: str | None = None,
    dry_run: bool = False,
) -> Talk[ChangedMany]:
    """Do the same to many timers: to all whose id begins with `prefix` ("" is all there are), or to those of `ids`.

    `action` is "pause", "resume", "cancel", "extend" (by `seconds`) or "restart". Below a prefix only those in `states`
    are met. It goes page by page and is no transaction; the result says how many were `changed`, how many `unchanged`,
    and those `refused`, each with its error. With `dry_run` it says so and changes nothing. The same `key`
    again changes no timer twice; one is made where it is left out.
    """
    if (prefix is None) == (ids is None):
        raise InvalidArgument('either prefix ("" is all timers) or ids is needed, and not both')
    made = new_id() if key is None else key
    met = tuple(texts("states", states, "a list of states"))
    params = ChangeManyParams(action, prefix, None, met, seconds, key=made, dry_run=dry_run)
    if ids is None:
        return (yield from _change_pages(params))
    several_ids = enumerate(several("ids", ids, "a list of timers or their ids"))
    named = sorted({id_of(timer, f"ids[{place}]") for place, timer in several_ids})
    total = ChangedMany(0, 0, [], None)
    for first in range(0, len(named), PAGE_MAXIMUM):
        part = yield from _change_pages(replace(params, ids=named[first : first + PAGE_MAXIMUM]))
        total = _sum(total, part)
    return total


def _several_traces(traces: Sequence[Trace | None]) -> list[Trace | None]:
    """Traces as a list. Raises `InvalidArgument` for what is none, with its place."""
    found: list[Trace | None] = several("traces", traces, "a Trace, or a list of them")
    for place, trace in enumerate(found):
        if not isinstance(trace, Trace | None):
            raise wrong_kind(f"traces[{place}]", trace, "a Trace or None")
    return found


def _start_in_parts(columns: Columns) -> Talk[StartedMany]:
    """Starts timers in as many messages as are needed. Where one is too large for the server, they become smaller."""
    started = 0
    existing: list[int] = []
    refused: list[RefusedStart] = []
    first, most = 0, IDS_PER_MESSAGE
    while first < len(columns.ids):
        count = min(most, len(columns.ids) - first)
        call = start_page(columns.part(first, count))
        if count > 1 and len(call.params) > BYTES_PER_MESSAGE:
            most = count // 2
            continue
        try:
            result: StartedMany = yield call
        except LimitReached as error:
            if count == 1 or error.data.get("limit") not in ("max_batch", "max_message_bytes"):
                raise
            most = count // 2
            continue
        started += result.started
        existing += [first + index for index in result.existing]
        refused += [RefusedStart(first + start.index, start.error) for start in result.refused]
        first += count
    return StartedMany(started, existing, refused)


def _change_pages(params: ChangeManyParams) -> Talk[ChangedMany]:
    total = ChangedMany(0, 0, [], None)
    while True:
        page: ChangedMany = yield change_page(params)
        total = _sum(total, page)
        if page.next is None:
            return total
        params = replace(params, after=page.next)


def _sum(one: ChangedMany, other: ChangedMany) -> ChangedMany:
    return ChangedMany(
        one.changed + other.changed, one.unchanged + other.unchanged, [*one.refused, *other.refused], None
    )
