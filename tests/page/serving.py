"""A gateway in a thread of the test, for a browser to open its page."""

import asyncio
import threading
import time
from collections.abc import Callable
from pathlib import Path

import uvicorn

from timer_client import Settings
from timer_gateway.listening import listen
from timer_gateway.opening import open_access
from timer_gateway.parts import Parts
from timer_gateway.serve import config_of, make_parts
from timer_gateway.settings import GatewaySettings

LIMIT_S = 10


class PageGateway:
    """Serves while entered, on a port of its own. Where there is no file of tokens nobody is asked for one."""

    def __init__(
        self, commands: str, tokens: Path = Path("/nowhere/tokens"), clock: Callable[[], float] = time.monotonic
    ) -> None:
        client = Settings(server=commands, retry_max_s=0.2)
        self._settings = GatewaySettings(client=client, tokens=tokens)
        self._clock = clock
        (self._socket,) = listen("127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self._is_up = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._server: uvicorn.Server | None = None
        self._parts: Parts | None = None
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)

    def __enter__(self) -> "PageGateway":
        self._thread.start()
        assert self._is_up.wait(LIMIT_S), "the gateway has not begun"
        return self

    def __exit__(self, *_: object) -> None:
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._stop)
        self._thread.join(LIMIT_S)
        assert not self._thread.is_alive(), "the gateway did not stop"

    def wait_for_streams(self, count: int) -> None:
        """Waits until so many streams are open: those of tabs that were closed end a moment later."""
        assert self._parts is not None
        end = time.monotonic() + LIMIT_S
        while f"timer_gateway_streams {count}.0" not in (metrics := self._parts.metrics.text().decode()):
            assert time.monotonic() < end, metrics
            time.sleep(0.02)

    def _stop(self) -> None:
        assert self._parts is not None
        assert self._server is not None
        self._parts.stopping.set()
        self._server.should_exit = True

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        access, _ = open_access(self._settings, time.time)
        self._parts = make_parts(self._settings, access, self._clock)
        self._server = uvicorn.Server(config_of(self._parts))
        self._is_up.set()
        await self._server._serve([self._socket])
        await self._parts.upstream.close()
