"""Both clients behind one blocking face, so that a test can be run on either."""

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

from timer_client import (
    AsyncEventStream,
    AsyncHeldDelivery,
    AsyncTimerClient,
    AsyncWork,
    Cursor,
    Event,
    Settings,
    TimerClient,
)

LIMIT_S = 20.0


def quick(server: str, events: str = "tcp://127.0.0.1:1", **changes: Any) -> Settings:
    """Settings with little patience."""
    return Settings(
        **{
            "server": server,
            "events": events,
            "timeout_s": 0.3,
            "retry_deadline_s": 10,
            "retry_min_s": 0.01,
            "retry_max_s": 0.05,
            **changes,
        }
    )


Run = Callable[[Any], Any]
"""Runs an awaitable to its end."""


class BlockingDriver:
    """The blocking client as it is."""

    def __init__(self, settings: Settings, **options: Any) -> None:
        self._client = TimerClient(settings=settings, **options)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def end(self) -> None:
        """Closes the client."""
        self._client.close()


class PlainStream(Iterator[Event]):
    """An asynchronous stream whose steps are run as they are asked for."""

    def __init__(self, stream: AsyncEventStream, steps: Iterator[Event]) -> None:
        self._stream = stream
        self._steps = steps

    @property
    def cursor(self) -> Cursor | None:
        """That of the stream."""
        return self._stream.cursor

    def __next__(self) -> Event:
        return next(self._steps)


class PlainDelivery:
    """An asynchronous worker's delivery, settled by plain calls."""

    def __init__(self, held: AsyncHeldDelivery, run: Run) -> None:
        self._held = held
        self._run = run

    def __getattr__(self, name: str) -> Any:
        return getattr(self._held, name)

    def ack(self) -> None:
        """Is done with it."""
        self._run(self._held.ack())

    def nack(self, *args: Any, **kwargs: Any) -> None:
        """Gives it back."""
        self._run(self._held.nack(*args, **kwargs))

    def __enter__(self) -> "PlainDelivery":
        self._run(self._held.__aenter__())
        return self

    def __exit__(self, *left_by: Any) -> None:
        self._run(self._held.__aexit__(*left_by))


class PlainWork(Iterator[PlainDelivery]):
    """An asynchronous worker whose steps are run as they are asked for."""

    def __init__(self, work: AsyncWork, run: Run) -> None:
        self._work = work
        self._run = run

    def __next__(self) -> PlainDelivery:
        try:
            return PlainDelivery(self._run(anext(self._work)), self._run)
        except StopAsyncIteration:
            raise StopIteration from None

    def __enter__(self) -> "PlainWork":
        self._run(self._work.__aenter__())
        return self

    def __exit__(self, *left_by: Any) -> None:
        self._run(self._work.__aexit__(*left_by))

    def on_take(self, tell: Callable[[str], object]) -> None:
        """Has a function told the keys of takes."""
        self._work.on_take(tell)

    def stop(self) -> None:
        """Ends the iteration."""
        self._work.stop()

    def close(self) -> None:
        """Gives back what is held."""
        self._run(self._work.aclose())


class AwaitableDriver:
    """The client for asyncio, on an event loop that runs while a call does."""

    def __init__(self, settings: Settings, **options: Any) -> None:
        self._runner = asyncio.Runner()
        self._client = AsyncTimerClient(settings=settings, **options)

    def __getattr__(self, name: str) -> Any:
        return lambda *args, **kwargs: self._run(getattr(self._client, name)(*args, **kwargs))

    def timers(self, *args: Any, **kwargs: Any) -> Iterator[Any]:
        """An asynchronous iterator as a plain one."""
        return self._steps(self._client.timers(*args, **kwargs))

    def events(self, *args: Any, **kwargs: Any) -> "PlainStream":
        """An asynchronous stream as a plain one."""
        stream = self._client.events(*args, **kwargs)
        return PlainStream(stream, self._steps(stream))

    def work(self, *args: Any, **kwargs: Any) -> PlainWork:
        """A worker of a queue as a plain iterator."""
        return PlainWork(self._client.work(*args, **kwargs), self._run)

    def close(self) -> None:
        """Closes the client."""
        self._run(self._client.close())

    def end(self) -> None:
        """Closes the client and its loop."""
        self.close()
        self._runner.close()

    def _steps(self, iterator: Any) -> Iterator[Any]:
        try:
            while True:
                yield self._run(anext(iterator))
        except StopAsyncIteration:
            return
        finally:
            self._run(iterator.aclose())

    def _run(self, awaitable: Any) -> Any:
        async def limited() -> Any:
            return await asyncio.wait_for(awaitable, LIMIT_S)

        return self._runner.run(limited())


Driver = BlockingDriver | AwaitableDriver
