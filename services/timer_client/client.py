"""The blocking client. `AsyncTimerClient` has the same methods."""

import time
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import islice
from typing import Any, TypeVar
from weakref import WeakSet

import zmq

from timer_client import calls, many, plan_calls, queue_calls
from timer_client.arguments import finite_seconds, texts, wrong_kind
from timer_client.calls import Call, Talk, TimerSpec
from timer_client.cursor import After, cursor_after
from timer_client.errors import ServerUnreachable, TimerError
from timer_client.follower import Follower
from timer_client.holding import wish_for
from timer_client.keys import load_keys
from timer_client.link import Context
from timer_client.retry import OnPause, Patience, Postponed, Unanswered, Unfinished, log_pause, try_blocking
from timer_client.session import Batches, Exchange
from timer_client.settings import Settings, load_settings
from timer_client.signatures import blocking, blocking_talk
from timer_client.spans import Spans, spanned, spanned_starts
from timer_client.streams import EventStream
from timer_client.talks import carry_out
from timer_client.transport import Transport
from timer_client.work import Carrier, Desk, Work
from timer_protocol.limits import PAGE_MAXIMUM
from timer_protocol.messages import Event, State, Timer

T = TypeVar("T")
# In the clients `list` is a method, so types that need the builtin are named here.
Timers = list[Timer]
Outcomes = list[Any]

Endpoints = str | Sequence[str]
"""One endpoint, or several: as a sequence, or as a text with commas between them."""

WAIT_CHUNK_S = 30.0
"""How long the server holds one `timer.wait` back. A lost connection is noticed at once, so this need not be short."""

MESSAGES_AT_ONCE = 16
"""Messages of `start_many` in flight: the server works on some while the next ones arrive."""


class TimerClient:
    """A client for threads: any number of them may share it.

    Where the server is comes from `settings`, by default from the environment (`TIMER_SERVER` and so on); `server`
    and `events` are the two endpoints, for when only they are to be said, or sequences of those of several servers.
    Every call is tried until `retry_deadline_s` is over, in a way that never does anything twice, and then raises
    `ServerUnreachable`. `on_pause` is told before every further try. `tracing` makes spans: see `timer_client.tracing`.

    Of several servers one is asked for as long as it answers, and events are heard from all.

    With `inproc://` endpoints, `context` is the ZeroMQ context that the server is bound in. Closing ends the calls of
    other threads with `ClientClosed`, and never hangs.
    """

    start = blocking(calls.start)
    get = blocking(calls.get)
    list = blocking(calls.list)
    pause = blocking(calls.pause)
    resume = blocking(calls.resume)
    cancel = blocking(calls.cancel)
    extend = blocking(calls.extend)
    restart = blocking(calls.restart)
    start_columns = blocking_talk(many.start_columns)
    change_many = blocking_talk(many.change_many)
    read_events = blocking(calls.read_events)
    info = blocking(calls.info)
    discover = blocking(calls.discover)
    put_plan = blocking(plan_calls.put_plan)
    delete_plan = blocking(plan_calls.delete_plan)
    get_plan = blocking(plan_calls.get_plan)
    plans = blocking_talk(plan_calls.plans)
    pause_plan = blocking(plan_calls.pause_plan)
    resume_plan = blocking(plan_calls.resume_plan)
    skip_plan = blocking(plan_calls.skip_plan)
    run_plan = blocking(plan_calls.run_plan)
    preview_plan = blocking(plan_calls.preview_plan)
    put_queue = blocking(queue_calls.put_queue)
    delete_queue = blocking(queue_calls.delete_queue)
    get_queue = blocking(queue_calls.get_queue)
    queues = blocking_talk(queue_calls.queues)
    take = blocking_talk(queue_calls.take)
    ack = blocking_talk(queue_calls.ack)
    nack = blocking_talk(queue_calls.nack)
    renew = blocking_talk(queue_calls.renew)
    dead = blocking(queue_calls.dead)
    revive = blocking_talk(queue_calls.revive)
    drop = blocking_talk(queue_calls.drop)

    def __init__(
        self,
        server: Endpoints | None = None,
        events: Endpoints | None = None,
        *,
        settings: Settings | None = None,
        context: Context | None = None,
        on_pause: OnPause = log_pause,
        tracing: Spans | None = None,
    ) -> None:
        self.settings = chosen_settings(server, events, settings)
        check_parts(context, on_pause, tracing)
        self._on_pause = on_pause
        self._spans = tracing
        self._batches = Batches()
        self._transport = Transport(self.settings.server_endpoints, context, load_keys(self.settings))
        self._desks: WeakSet[Desk] = WeakSet()
        """Those of its workers."""

    def __enter__(self) -> "TimerClient":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes all connections, after workers have given back what they hold. Timers run on."""
        for desk in [*self._desks]:
            desk.close(interrupted=False)
        self._transport.close()

    def call(self, call: Call[T]) -> T:
        """The result of any call. Raises `TimerError`."""
        call = calls.below(call, self.settings.id_prefix)
        if self._spans is None:
            result: T = self._tried(call, Patience(self.settings))
            return result
        with spanned(self._spans, call) as in_span:
            return self._tried(in_span, Patience(self.settings))  # type: ignore[no-any-return]

    def talk(self, talk: Talk[T]) -> T:
        """The result of calls of which each follows from the results of those before. Raises `TimerError`."""
        return carry_out(talk, self.call)

    def start_many(self, specs: Iterable[TimerSpec]) -> Timers:
        """Starts any number of timers, many in one message, and returns them in their order.

        Raises the first error. The timers before it may have been started; passing the same specs again starts
        nothing twice, as each has its id.
        """
        starts = calls.start_specs(specs)
        if self._spans is None:
            return self._start_all(starts)
        with spanned_starts(self._spans, starts) as in_span:
            return self._start_all(in_span)

    def _start_all(self, starts: Iterable[Call[Timer]]) -> Timers:
        timers: Timers = []
        batches = self._batches.cut(starts)
        while flight := list(islice(batches, MESSAGES_AT_ONCE)):
            timers += map(unwrapped, self._carry(flight, Patience(self.settings)))
        return timers

    def timers(
        self, prefix: str = "", state: State | None = None, *, states: Sequence[State] | None = None
    ) -> Iterator[Timer]:
        """All timers whose id begins with `prefix`, in the order of their ids, page by page as they are asked for."""
        after = None
        while True:
            page = self.list(prefix, state, after, PAGE_MAXIMUM, states=states)
            yield from page.timers
            if page.next is None:
                return
            after = page.next

    def wait(self, timer: Timer | str, timeout_s: float | None = None) -> Timer:
        """The timer once it has ended, or as it stands after `timeout_s`. Raises `TimerNotFound`.

        Without `timeout_s` it waits without end.
        """
        ends_s = None if timeout_s is None else time.monotonic() + finite_seconds("timeout_s", timeout_s)
        while True:
            left_s = WAIT_CHUNK_S if ends_s is None else max(ends_s - time.monotonic(), 0)
            waited = self.call(calls.wait_once(timer, round(min(left_s, WAIT_CHUNK_S) * 1000)))
            if waited.ended or (ends_s is not None and time.monotonic() >= ends_s):
                return waited

    def events(self, prefix: str = "", after: After = "now") -> EventStream:
        """Follows events without end: none missed, none twice, in the order of `seq` in each log, whatever happens.

        `prefix` is matched against `<id> <kind>`: `order/` is all ids below it, `order/42 ` one timer and
        `order/42 fired` its end. `after` is a `Cursor` or its text, such as the `cursor` of an earlier stream or of
        `info()`; "start" is all there is, and "now" begins at the first step of the iteration, and not at
        this call: `after=client.info().cursor` begins there.

        Raises `EventsTruncated`, after the events that are left, if some of what was asked for is gone; and
        `ServerUnreachable`.
        """
        follower = Follower(prefix, cursor_after(after), self.settings.events_endpoints)
        return EventStream(follower, self._follow(follower))

    def work(
        self,
        queue: str,
        prefix: str | None = None,
        *,
        concurrency: int = 1,
        lease_ms: int | None = None,
        max_deliveries: int | None = None,
        backoff_ms: Sequence[int] | None = None,
    ) -> Work:
        """Takes the deliveries of a queue, one after the other, without end, and renews their leases while they last.

        Each is to be settled by its `ack` or `nack`, or as a context manager: acknowledged at the end of its block,
        given back for another attempt where an exception leaves it. At most `concurrency` are held unsettled; the loop
        goes on once there are fewer. Only a loop of a `TimerClient` that holds 1 gives it back then, as nobody else
        settles it. Where there is no queue and a `prefix` is given, it is made, with what else is given, if this
        client's key may; one that is there is never changed.

        Raises `QueueNotFound`, `ServerUnreachable`, and `InvalidArgument` where the queue has another prefix.
        """
        wish = wish_for(queue, prefix, concurrency, lease_ms, max_deliveries, backoff_ms)
        work = Work(Carrier(self.settings, self._tried, self._transport.sleep, self._spans), wish)
        self._desks.add(work.desk)
        return work

    def _tried(self, call: Call[Any], patience: Patience) -> Any:
        """The result of a call, tried for as long as `patience` lasts. Raises `TimerError`."""
        (outcome,) = self._carry([[call]], patience)
        return unwrapped(outcome)

    def _follow(self, follower: Follower) -> Generator[Event, None, None]:
        if not follower.has_begun:
            follower.begin(self.info())
        subscription = self._transport.subscribe(follower.roster.endpoints, follower.topics)
        try:
            while True:
                if follower.roster.is_outdated:
                    follower.roster.take(self.info())
                    subscription.listen_to(follower.roster.endpoints)
                while follower.behind:
                    yield from follower.take(self.read_events(follower.cursor, follower.id_prefix, PAGE_MAXIMUM))
                began_s = time.monotonic()
                frames = subscription.receive(follower.listens_s)
                event = None if frames is None else follower.hear(frames)
                follower.listen(time.monotonic() - began_s)
                if event is not None:
                    yield event
                elif subscription.take_gap():
                    follower.resync()
        finally:
            self._transport.unsubscribe(subscription)

    def _carry(self, batches: Sequence[Sequence[Call[Any]]], patience: Patience) -> Outcomes:
        """The outcomes of all calls, in their order. Each batch travels in a message of its own."""
        exchanges = [Exchange(batch) for batch in batches]
        try:
            attempt = partial(self._attempt, exchanges, patience)
            try_blocking(attempt, self.settings, patience, self._on_pause, self._transport.sleep)
        except Unanswered:
            unreachable = ServerUnreachable(self.settings.server, patience.tried_s, patience.tries, patience.reason)
            for exchange in exchanges:
                exchange.give_up(unreachable)
        except Unfinished:
            pass  # the outcomes are the server's own errors
        outcomes: Outcomes = []
        for exchange in exchanges:
            if exchange.oversize is not None:
                outcomes += self._carry([*self._batches.cut_smaller(exchange)], Patience(self.settings))
            else:
                outcomes += exchange.outcomes
        return outcomes

    def _attempt(self, exchanges: Sequence[Exchange], patience: Patience) -> None:
        unsettled = [exchange for exchange in exchanges if exchange.unsettled]
        endpoint = self._transport.carry(unsettled, patience)
        for exchange in unsettled:
            if exchange.unsettled:
                if exchange.is_turned_away:
                    self._transport.leave(endpoint)
                raise Postponed(exchange.reason, endpoint=endpoint)


def unwrapped(outcome: Any) -> Any:
    """The result in an outcome. Raises the error if it is one."""
    if isinstance(outcome, TimerError):
        raise outcome
    return outcome


def chosen_settings(server: Endpoints | None, events: Endpoints | None, settings: Settings | None) -> Settings:
    """The settings of a client: the loaded ones unless others are given, with the endpoints that are given.

    Raises `ConfigError`, `InvalidArgument`.
    """
    if not isinstance(settings, Settings | None):
        raise wrong_kind("settings", settings, "Settings")
    given: dict[str, Any] = {
        name: _joined(name, value)
        for name, value in (("server", server), ("events", events))
        if value not in (None, "")
    }
    return replace(load_settings() if settings is None else settings, **given)


def _joined(name: str, value: object) -> object:
    """A sequence of endpoints as settings have them. Raises `InvalidArgument`."""
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ",".join(texts(name, value, "a list of endpoints"))
    return value


def check_parts(context: Context | None, on_pause: OnPause, tracing: Spans | None) -> None:
    """Raises `InvalidArgument` for what a client cannot be made with."""
    if not isinstance(context, zmq.Context | None):
        raise wrong_kind("context", context, "a zmq.Context")
    if not callable(on_pause):
        raise wrong_kind("on_pause", on_pause, "a function of a Pause")
    if tracing is not None and not isinstance(tracing, Spans):
        raise wrong_kind("tracing", tracing, "a Tracing of timer_client.tracing")
