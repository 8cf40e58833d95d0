"""Streams of events, for threads and for tasks: iterators with a cursor."""

from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator
from typing import Generic, TypeVar

from timer_client.cursor import Cursor
from timer_client.follower import Follower
from timer_protocol.messages import Event

Events = TypeVar("Events")


class _Stream(Generic[Events]):
    """The events of a follower, and how many of them were handed out."""

    def __init__(self, follower: Follower, events: Events) -> None:
        self._follower = follower
        self._events = events
        self._handed_out = 0

    @property
    def cursor(self) -> Cursor | None:
        """The position after the last event handed out; None where "now" has not been asked for yet."""
        if not self._follower.has_begun:
            return None
        # An interrupt may have come after the cursor was moved and before the event was handed out.
        is_handed_out = self._follower.passed == self._handed_out
        return self._follower.cursor if is_handed_out else self._follower.cursor_before


class EventStream(_Stream[Generator[Event, None, None]], Iterator[Event]):
    """The events that `TimerClient.events` follows.

    Like a generator it is closed by `close`, by `with`, or when it is dropped, and has ended once it has raised.
    """

    def __next__(self) -> Event:
        """The next event, once it is there."""
        event = next(self._events)
        self._handed_out += 1
        return event

    def close(self) -> None:
        """Ends the stream, and closes its connection."""
        self._events.close()

    def __enter__(self) -> "EventStream":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class AsyncEventStream(_Stream[AsyncGenerator[Event, None]], AsyncIterator[Event]):
    """The events that `AsyncTimerClient.events` follows.

    Like an asynchronous generator it is closed by `aclose`, by `async with`, or when it is dropped, and has ended once
    it has raised.
    """

    async def __anext__(self) -> Event:
        """The next event, once it is there."""
        event = await anext(self._events)
        self._handed_out += 1
        return event

    async def aclose(self) -> None:
        """Ends the stream, and closes its connection."""
        await self._events.aclose()

    async def __aenter__(self) -> "AsyncEventStream":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()
