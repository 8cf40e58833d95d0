"""What loads and watchers tell, collected in threads while faults happen."""

import asyncio
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Generic, Protocol, TypeVar

import msgspec

from campaigns.network_load import Story, Told, run_async, run_blocking
from timer_client import AsyncTimerClient, ClientClosed, Event, Settings, TimerClient

T = TypeVar("T")
Put = Callable[[T], None]

STOP_LIMIT_S = 40.0
AT_ONCE = 4
"""Stories that the asynchronous load is in at the same time."""


class Source(Protocol[T]):
    """Tells things, one after the other, until it is stopped."""

    def run(self, put: Put[T]) -> None:
        """Tells until the end."""

    def stop(self) -> None:
        """Asks for the end, from another thread."""


class Collector(Generic[T]):
    """Runs a source in a thread, and keeps what it tells with the moment at which it came."""

    def __init__(self, name: str, source: Source[T]) -> None:
        self.name = name
        self.arrivals: list[tuple[float, T]] = []
        self.failure = ""
        self._source = source
        self._news = threading.Condition()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    @property
    def items(self) -> list[T]:
        """What has come so far."""
        with self._news:
            return [item for _, item in self.arrivals]

    def first(self, wanted: Callable[[T], bool], limit_s: float) -> tuple[float, T] | None:
        """The first that is wanted and when it came, whether it is there or still to come; None if it does not."""
        ends_s = time.monotonic() + limit_s
        looked_at = 0
        with self._news:
            while True:
                for arrival in self.arrivals[looked_at:]:
                    if wanted(arrival[1]):
                        return arrival
                looked_at = len(self.arrivals)
                if not self._thread.is_alive() or not self._news.wait(ends_s - time.monotonic()):
                    return None

    def end(self) -> None:
        """Stops the source, and waits for it."""
        self._source.stop()
        self._thread.join(STOP_LIMIT_S)
        if self._thread.is_alive():
            self.failure = self.failure or f"did not end within {STOP_LIMIT_S:g} s"

    def _run(self) -> None:
        try:
            self._source.run(self._put)
        except Exception as error:  # whatever it is, the report tells it
            self.failure = f"{type(error).__name__}: {error}"
        with self._news:
            self._news.notify_all()

    def _put(self, item: T) -> None:
        with self._news:
            self.arrivals.append((time.monotonic(), item))
            self._news.notify_all()


class Watch:
    """The blocking client's events."""

    def __init__(self, settings: Settings, prefix: str = "") -> None:
        self._client = TimerClient(settings=settings)
        self._prefix = prefix

    def run(self, put: Put[Event]) -> None:
        with suppress(ClientClosed):
            for event in self._client.events(self._prefix, after="start"):
                put(event)

    def stop(self) -> None:
        self._client.close()


class AsyncWatch:
    """The asynchronous client's events."""

    def __init__(self, settings: Settings, prefix: str = "") -> None:
        self._settings = settings
        self._prefix = prefix
        self._stop = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._task: asyncio.Task[None] | None = None

    def run(self, put: Put[Event]) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner, suppress(asyncio.CancelledError):
            runner.run(self._follow(put))

    def stop(self) -> None:
        with suppress(RuntimeError):  # the loop has ended by itself, which is told as a failure
            self._loop.call_soon_threadsafe(lambda: self._task and self._task.cancel())

    async def _follow(self, put: Put[Event]) -> None:
        self._task = asyncio.current_task()
        async with AsyncTimerClient(settings=self._settings) as client:
            async for event in client.events(self._prefix, after="start"):
                put(event)


class Load:
    """Stories through the blocking client."""

    def __init__(self, settings: Settings, stories: Iterator[Story]) -> None:
        self._settings = settings
        self._stories = stories
        self._stop = threading.Event()

    def run(self, put: Put[Told]) -> None:
        with TimerClient(settings=self._settings) as client:
            run_blocking(client, self._stories, put, self._stop)

    def stop(self) -> None:
        self._stop.set()


class AsyncLoad(Load):
    """Stories through the asynchronous client."""

    def run(self, put: Put[Told]) -> None:
        async def play() -> None:
            async with AsyncTimerClient(settings=self._settings) as client:
                await run_async(client, self._stories, put, self._stop, AT_ONCE)

        asyncio.run(play())


class Lines(Generic[T]):
    """The lines of JSON that a command prints, which is ended by SIGTERM unless something else is said."""

    def __init__(self, process: "subprocess.Popen[str]", of: type[T], stop: Callable[[], object] | None = None) -> None:
        self._process = process
        self._decoder = msgspec.json.Decoder(of)
        self._stop = stop or partial(process.send_signal, signal.SIGTERM)  # a shell's background jobs ignore SIGINT

    def run(self, put: Put[T]) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            put(self._decoder.decode(line))
        self._process.wait(STOP_LIMIT_S)

    def stop(self) -> None:
        self._stop()


@contextmanager
def printing(command: Sequence[str], env: Mapping[str, str], cwd: Path) -> "Iterator[subprocess.Popen[str]]":
    """A command whose output is read line by line; it is gone after the block."""
    process = subprocess.Popen(
        command, env=env, cwd=cwd, text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, start_new_session=True
    )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # its children hold the pipe as well
        process.wait()
        assert process.stdout is not None
        process.stdout.close()
