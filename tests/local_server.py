"""A server in a thread of the test, with real sockets and a clock that the test may own."""

import logging
import queue
import threading
from typing import Any

from timer_protocol.limits import Limits
from timer_protocol.service_manager import ServiceManager
from timer_server.logs import log
from timer_server.loop.clock import Sources, system_sources
from timer_server.loop.signals import OperatorSignals
from timer_server.serve import serve
from timer_server.settings import Config
from timer_server.store.base import Store
from timer_server.store.memory import MemoryStore

START_LIMIT_S = 10
STOP_LIMIT_S = 10


class LocalServer:
    """Serves while entered. Settings may be given by the names of `Config`.

    With several `shards` each has a store in memory.
    """

    def __init__(
        self,
        sources: Sources | None = None,
        limits: Limits | None = None,
        shards: int = 1,
        manager: ServiceManager | None = None,
        **settings: Any,
    ) -> None:
        self._config = Config(
            **{
                "bind": "tcp://127.0.0.1:0",
                "events_bind": "tcp://127.0.0.1:0",
                "store_path": None,
                "metrics_bind": None,
                "log_level": "info",
                "log_format": "json",
                "limits": limits or Limits(),
                **settings,
            }
        )
        self._sources = sources or system_sources()
        self._shards = shards
        self._signals = OperatorSignals(manager)
        self._logs = _Recorder()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self.commands = ""
        self.events = ""

    def __enter__(self) -> "LocalServer":
        self.begin()
        listening = self.wait_for_log("listening")
        self.commands, self.events = listening["commands"], listening["events"]
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def begin(self) -> None:
        """Starts the server and does not wait until it listens."""
        log.addHandler(self._logs)
        log.setLevel(logging.INFO)
        self._thread.start()

    def stop(self) -> None:
        """Stops the server as SIGTERM would, and raises what it failed with, if it did."""
        if self._thread.is_alive():
            self._signals.stop()
        self._thread.join(STOP_LIMIT_S)
        assert not self._thread.is_alive(), "the server did not stop"
        log.removeHandler(self._logs)
        self._signals.close()
        if self._failure is not None:
            failure, self._failure = self._failure, None
            raise failure

    def reload(self) -> None:
        """Has the server read its keys again, as SIGHUP would."""
        self._signals.reload()

    def serve_here(self) -> None:
        """Serves in the caller's thread, for tests of a start that fails."""
        try:
            serve(self._config, self._sources, self._signals)
        finally:
            self._signals.close()

    def wait_for_log(self, event: str) -> dict[str, Any]:
        """The fields of the next log line with this event."""
        while True:
            record = self._logs.records.get(timeout=START_LIMIT_S)
            if record is None:
                raise AssertionError(f"the server ended before it logged {event!r}") from self._failure
            if record.getMessage() == event:
                return getattr(record, "fields", {})

    def _make_stores(self, _: Config) -> list[Store]:
        return [MemoryStore(f"log{number:08}") for number in range(self._shards)]

    def _serve(self) -> None:
        try:
            make_stores = None if self._shards == 1 else self._make_stores
            serve(self._config, self._sources, self._signals, make_stores=make_stores)
        except BaseException as error:
            self._failure = error
        finally:
            self._logs.records.put(None)


class _Recorder(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.records: queue.Queue[logging.LogRecord | None] = queue.Queue()

    def emit(self, record: logging.LogRecord) -> None:
        self.records.put(record)
