"""Streams of events, for threads and for tasks: iterators with a cursor."""

from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator

from timer_client.cursor import Cursor
from timer_client.follower import Follower
from timer_protocol.messages import Event


class EventStream(Iterator[Event]):
    """The events that `TimerClient.events` follows.

    Like a generator it is closed by `close`, by `with`, or when it is dropped, and has ended once it has raised.
    """

    def __init__(self, follower: Follower, events: Generator[Event, None, None]) -> None:
        self._follower = follower
        self._events = events
        self._handed_out = 0

    @property
    def cursor(self) -> Cursor | None:
        """The position after the last event handed out; None where "now" has not been asked for yet."""
        return _cursor_of(self._follower, self._handed_out)

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


class AsyncEventStream(AsyncIterator[Event]):
    """The events that `AsyncTimerClient.events` follows.

    Like an asynchronous generator it is closed by `aclose`, by `async with`, or when it is dropped, and has ended once
    it has raised.
    """

    def __init__(self, follower: Follower, events: AsyncGenerator[Event, None]) -> None:
        self._follower = follower
        self._events = events
        self._handed_out = 0

    @property
    def cursor(self) -> Cursor | None:
        """The position after the last event handed out; None where "now" has not been asked for yet."""
        return _cursor_of(self._follower, self._handed_out)

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


def _cursor_of(follower: Follower, handed_out: int) -> Cursor | None:
    """The position after the last event that was handed out: an interrupt may have come before the next one was."""
    if not follower.has_begun:
        return None
    return follower.cursor if follower.passed == handed_out else follower.cursor_before
