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

    @property
    def cursor(self) -> Cursor | None:
        """The position after the last event handed out; None where "now" has not been asked for yet."""
        return self._follower.cursor if self._follower.has_begun else None

    def __next__(self) -> Event:
        """The next event, once it is there."""
        return next(self._events)

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

    @property
    def cursor(self) -> Cursor | None:
        """The position after the last event handed out; None where "now" has not been asked for yet."""
        return self._follower.cursor if self._follower.has_begun else None

    async def __anext__(self) -> Event:
        """The next event, once it is there."""
        return await anext(self._events)

    async def aclose(self) -> None:
        """Ends the stream, and closes its connection."""
        await self._events.aclose()

    async def __aenter__(self) -> "AsyncEventStream":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()
