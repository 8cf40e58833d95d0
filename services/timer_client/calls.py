"""The calls that a client can make, each written once for the blocking and the awaitable client.

A function here returns a `Call`: what goes over the wire and what comes back. Ids and keys are made here, before the
first try, so that a repeated call has no second effect.
"""

import os
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar

import msgspec
from msgspec import Raw, Struct, field
from msgspec.structs import replace

from timer_client.arguments import texts, wrong_kind
from timer_client.cursor import After, cursor_after
from timer_client.encoding import encoded
from timer_client.errors import InvalidArgument
from timer_client.moments import moment_text
from timer_protocol.ids import uuid7
from timer_protocol.limits import PAGE_DEFAULT
from timer_protocol.messages import (
    CancelParams,
    DiscoverParams,
    EventPage,
    ExtendParams,
    GetParams,
    InfoParams,
    ListParams,
    PauseParams,
    ReadEventsParams,
    RestartParams,
    ResumeParams,
    ServerInfo,
    State,
    Timer,
    TimerPage,
    WaitParams,
)
from timer_protocol.traces import Trace

T = TypeVar("T")

Past = Literal["refuse", "fire"]

if TYPE_CHECKING:
    Moment = str | datetime
else:
    Moment = str  # msgspec cannot read a field that is either; a datetime is made text before the spec is encoded

_members = msgspec.json.Decoder(dict[str, Raw])


class Call(Struct, Generic[T], frozen=True, gc=False):
    """One request. `params` are encoded already, so that a wrong value fails where it was passed."""

    method: str
    params: Raw
    result: type[T]
    wait_ms: int = 0
    """How long the server may hold the answer back. Such a call travels alone."""
    id_is_made: bool = False
    """Whether the timer's id was made here, so that it can be put below a prefix."""


Talk = Generator[Call[Any], Any, T]
"""Calls, each of which is sent the result of the one before. It ends with the result of all."""


def new_id() -> str:
    """A unique id for a timer or a change, which sorts by the time it was made (UUIDv7)."""
    # The system's randomness: after a fork, both processes would go on with the same state of a generator.
    return uuid7(time.time_ns() // 1_000_000, int.from_bytes(os.urandom(10), "big") >> 6)


class TimerSpec(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """A timer to start with `start_many`: for three amounts, which add up, or for the moment `at`; see `start`.

    The id is made with the spec: passing the same spec again starts nothing twice.
    """

    id: str = field(default_factory=new_id)
    hours: float = 0
    minutes: float = 0
    seconds: float = 0
    label: str = ""
    payload: Any = None
    """Any JSON value; an equal one comes back with every reply and event, tuples as lists."""
    at: Moment | None = None
    zone: str | None = None
    past: Past = "refuse"
    trace: Trace | None = None


def start(  # noqa: PLR0913 - the members of the request
    hours: float = 0,
    minutes: float = 0,
    seconds: float = 0,
    *,
    id: str | None = None,
    label: str = "",
    payload: Any = None,
    at: str | datetime | None = None,
    zone: str | None = None,
    past: Past = "refuse",
    trace: Trace | None = None,
) -> Call[Timer]:
    """Start a timer; when this returns it is on the server's disk.

    The amounts add up, and may be fractional down to a millisecond. `id` is 1-128 of `A-Z a-z 0-9 . _ : / -`
    and is made where it is left out; the same `id` with the same request returns the timer that exists.
    `label` is a name for people; `payload` is any JSON value, and an equal one comes back with every reply and event.

    In place of the amounts, `at` is a moment of the wall clock: a `datetime` with its time zone or RFC 3339 text with
    its offset; or either without, with its `zone`, such as "Europe/Rome". The timer fires when the server's wall clock
    has reached it, however that is set. A moment that has passed is refused, or with `past="fire"` fires at once.

    `trace` is where in a distributed trace it is started; deliveries of its end have it, and nothing else. A client
    with `tracing` makes one.

    What is a kind of text, number, list, tuple or dict is sent as a plain one: a named tuple as a list.

    Raises `InvalidRequest`, `IdConflict`, `LimitReached`; and `InvalidArgument` for what JSON cannot hold, such as
    bytes, a set, a datetime in the payload, a number that is not finite or a key that is no text.
    """
    spec = TimerSpec(
        id=new_id() if id is None else id,
        hours=hours,
        minutes=minutes,
        seconds=seconds,
        label=label,
        payload=payload,
        at=at,
        zone=zone,
        past=past,
        trace=trace,
    )
    return _start(spec, id_is_made=id is None)


def start_spec(spec: TimerSpec) -> Call[Timer]:
    """Start a timer as its spec says; see `start`."""
    if not isinstance(spec, TimerSpec):
        raise wrong_kind("spec", spec, "a TimerSpec")
    return _start(spec)


def start_specs(specs: Iterable[TimerSpec]) -> Iterator[Call[Timer]]:
    """Start timers as their specs say, one after the other. What is wrong in one is told with its place."""
    if not isinstance(specs, Iterable):
        raise wrong_kind("specs", specs, "an iterable of TimerSpec")
    for number, spec in enumerate(specs):
        try:
            call = start_spec(spec)
        except InvalidArgument as error:
            raise InvalidArgument(f"specs[{number}]: {error}") from None
        yield call


def _start(spec: TimerSpec, *, id_is_made: bool = False) -> Call[Timer]:
    if spec.at is not None:
        spec = replace(spec, at=moment_text(spec.at, spec.zone))
    return Call("timer.start", encoded(spec), Timer, id_is_made=id_is_made)


def begin(talk: Talk[Any]) -> Callable[[], Call[Any]]:
    """What gives the first call of a talk. Raises `InvalidArgument` where it is none."""
    if not isinstance(talk, Generator):
        raise wrong_kind("talk", talk, "a Talk, as the functions of timer_client.many make them")
    return partial(next, talk)


def below(call: Call[T], prefix: str) -> Call[T]:
    """The same call, with `prefix` before the timer's id if that was made here."""
    if not isinstance(call, Call):
        raise wrong_kind("call", call, "a Call, as the functions of timer_client.calls make them")
    if not prefix or not call.id_is_made:
        return call
    params = _members.decode(call.params)
    timer_id = prefix + msgspec.json.decode(params["id"])
    params["id"] = Raw(msgspec.json.encode(timer_id))
    return replace(call, params=Raw(msgspec.json.encode(params)), id_is_made=False)


def get(timer: Timer | str) -> Call[Timer]:
    """A timer, or the timer with this id, as it stands. Raises `TimerNotFound`."""
    return _call("timer.get", GetParams(id_of(timer)), Timer)


def list(  # noqa: A001, PLR0913 - the protocol's words
    prefix: str = "",
    state: State | None = None,
    after: str | None = None,
    limit: int = PAGE_DEFAULT,
    *,
    states: Sequence[State] | None = None,
    due_before_ms: int | None = None,
    order: Literal["id", "due"] = "id",
    omit: Sequence[Literal["payload"]] = (),
) -> Call[TimerPage]:
    """A page of at most `limit` timers in the order of their ids; its `next` is the `after` of the page that follows.

    `prefix` selects the ids that begin so, `state` one state or `states` several, `due_before_ms` the running ones due
    before this. `order` "due" gives those that run, the next to fire first, in a single page, which is `complete` if
    there are no more. `omit` "payload" leaves the payloads out. `timers` goes through all pages.
    """
    wanted = None if states is None else tuple(texts("states", states, "a list of states"))
    left_out = tuple(texts("omit", omit, "a list of members"))
    params = ListParams(prefix, state, after, limit, wanted, due_before_ms, order, left_out)
    return _call("timer.list", params, TimerPage)


def pause(timer: Timer | str, *, key: str | None = None) -> Call[Timer]:
    """Stop a countdown; a paused timer stays paused. Raises `TimerNotFound`, `WrongState`.

    A repeated `key` changes nothing, and one is made where it is left out.
    """
    return _call("timer.pause", PauseParams(id_of(timer), _key(key)), Timer)


def resume(timer: Timer | str, *, key: str | None = None) -> Call[Timer]:
    """Let a paused timer run on; a running one runs on. Raises `TimerNotFound`, `WrongState`.

    A repeated `key` changes nothing, and one is made where it is left out.
    """
    return _call("timer.resume", ResumeParams(id_of(timer), _key(key)), Timer)


def cancel(timer: Timer | str, *, key: str | None = None) -> Call[Timer]:
    """End a timer before its time; a cancelled one stays so. Raises `TimerNotFound`, `WrongState`.

    A repeated `key` changes nothing, and one is made where it is left out.
    """
    return _call("timer.cancel", CancelParams(id_of(timer), _key(key)), Timer)


def extend(
    timer: Timer | str, hours: float = 0, minutes: float = 0, seconds: float = 0, *, key: str | None = None
) -> Call[Timer]:
    """Add time to a pending timer; negative amounts take some away, but never all that is left.

    A repeated `key` changes nothing, and one is made where it is left out.
    Raises `TimerNotFound`, `WrongState`, `InvalidRequest`.
    """
    return _call("timer.extend", ExtendParams(id_of(timer), hours, minutes, seconds, _key(key)), Timer)


def restart(timer: Timer | str, *, key: str | None = None) -> Call[Timer]:
    """Run a timer's full time again, from any state. Raises `TimerNotFound`.

    A repeated `key` changes nothing, and one is made where it is left out.
    """
    return _call("timer.restart", RestartParams(id_of(timer), _key(key)), Timer)


def wait_once(timer: Timer | str, wait_ms: int) -> Call[Timer]:
    """The timer once it has ended, or as it stands after `wait_ms`. Raises `TimerNotFound`."""
    return _call("timer.wait", WaitParams(id_of(timer), wait_ms), Timer, wait_ms)


def read_events(after: After, prefix: str = "", limit: int = PAGE_DEFAULT, wait_ms: int = 0) -> Call[EventPage]:
    """A page of at most `limit` events after a cursor, of the timers whose id begins with `prefix`.

    `after` is a `Cursor` or its text; "start" is all there is. Where there is no event yet, the server waits `wait_ms`
    for one. `next` of the page is the `after` to go on with, at once where `more` is true; `truncated` says that some
    of what was asked for is gone. `events` follows them without end.
    """
    cursor = cursor_after(after)
    if cursor is None:
        raise InvalidArgument('"now" is told by the server: pass the cursor of info()')
    return _call("events.read", ReadEventsParams(dict(cursor), prefix, limit, wait_ms), EventPage, wait_ms)


def info() -> Call[ServerInfo]:
    """The server's version, counts by state, limits, and how its logs stand; its `cursor` is where they end."""
    return _call("server.info", InfoParams(), ServerInfo)


def discover() -> Call[dict[str, Any]]:
    """The service's own description, an OpenRPC document."""
    return _call("rpc.discover", DiscoverParams(), dict[str, Any])


def _call(method: str, params: Struct, result: type[T], wait_ms: int = 0) -> Call[T]:
    return Call(method, encoded(params), result, wait_ms)


def id_of(timer: Timer | str, name: str = "timer") -> str:
    """The id of a timer, which `name` calls in the error. Raises `InvalidArgument`."""
    if isinstance(timer, str):
        return timer
    if isinstance(timer, Timer):
        return timer.id
    raise wrong_kind(name, timer, "a Timer or its id")


def _key(key: str | None) -> str:
    return new_id() if key is None else key
