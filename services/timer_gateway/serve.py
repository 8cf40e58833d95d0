"""Runs the gateway: uvicorn on its sockets, the way to the server, and what signals ask for."""

import asyncio
import contextlib
import resource
import signal
import socket
import time
from collections.abc import Callable, Generator, Sequence

import uvicorn

from timer_gateway.access import Access
from timer_gateway.app import application
from timer_gateway.certificate import renew
from timer_gateway.connections import Connection
from timer_gateway.limits import CONNECTIONS, RESERVED_DESCRIPTORS, Rate
from timer_gateway.listening import BACKLOG, url_of
from timer_gateway.logs import log
from timer_gateway.metrics import Metrics
from timer_gateway.opening import read_again
from timer_gateway.parts import Parts
from timer_gateway.settings import GatewaySettings
from timer_gateway.upstream import Upstream
from timer_protocol import __version__
from timer_protocol.log_lines import fields
from timer_protocol.service_manager import ServiceManager
from timer_protocol.settings import SettingError
from timer_protocol.signs_of_life import give_signs_of_life

IDLE_LIMIT_S = 60
"""How long a connection may stay open without a request: pages and proxies keep theirs."""

STOP_LIMIT_S = 3
"""How long requests under way may take once the gateway is asked to stop."""

_SERVING = "serving"
"""What the service manager is told of a gateway that is not about to stop."""


class _Server(uvicorn.Server):
    """Uvicorn without its handlers of signals, which would end the process by them. The service manager is told how it
    stands."""

    def __init__(self, config: uvicorn.Config, manager: ServiceManager) -> None:
        super().__init__(config)
        self.manager = manager

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.manager.ready(_SERVING)

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield


def serve(settings: GatewaySettings, access: Access, sockets: Sequence[socket.socket], manager: ServiceManager) -> bool:
    """Answers until SIGTERM or SIGINT; returns whether it was SIGINT. SIGHUP reads tokens and certificate again.

    Raises `SettingError` where the certificate cannot be used, and `ConfigError` for the client's keys.
    """
    return asyncio.run(_serve(settings, access, sockets, manager))


def make_parts(settings: GatewaySettings, access: Access, clock: Callable[[], float] = time.monotonic) -> Parts:
    """The parts of a gateway; to be called on its event loop. Raises `ConfigError`."""
    metrics = Metrics()
    return Parts(
        settings=settings,
        upstream=Upstream(settings.client, metrics),
        metrics=metrics,
        access=access,
        rate=Rate(clock),
        clock=clock,
    )


async def _serve(
    settings: GatewaySettings, access: Access, sockets: Sequence[socket.socket], manager: ServiceManager
) -> bool:
    parts = make_parts(settings, access)
    server = _Server(config_of(parts), manager)
    living = asyncio.create_task(give_signs_of_life(manager, _SERVING))
    try:
        is_interrupted = _take_signals(server, parts)
        for each in sockets:
            url = url_of(each, is_encrypted=settings.is_encrypted)
            log.info("listening", extra=fields(http=url, server=settings.client.server, version=__version__))
        await server.serve([*sockets])
        log.info("stopped")
        return is_interrupted.is_set()
    finally:
        living.cancel()
        await parts.upstream.close()


def config_of(parts: Parts) -> uvicorn.Config:
    """How uvicorn is to serve. Raises `SettingError` where the certificate cannot be used."""
    settings = parts.settings
    config = uvicorn.Config(
        application(parts),
        loop="asyncio",
        http=Connection,
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="error",  # what peers send wrong is their affair
        access_log=False,
        proxy_headers=False,  # whoever asks could say anything in them
        server_header=False,
        limit_concurrency=_most_connections(),
        backlog=BACKLOG,
        timeout_keep_alive=IDLE_LIMIT_S,
        timeout_graceful_shutdown=STOP_LIMIT_S,
        ssl_certfile=settings.certificate,
        ssl_keyfile=settings.key,
    )
    try:
        config.load()
    except OSError as error:  # SSLError is one
        raise SettingError(
            f"TIMER_GATEWAY_CERTIFICATE {settings.certificate} and TIMER_GATEWAY_KEY {settings.key} cannot be used:"
            f" {error.strerror or error}"
        ) from None
    return config


def _most_connections() -> int:
    """How many connections there may be, once the limit of open files is as high as it can be."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return max(1, min(CONNECTIONS, hard - RESERVED_DESCRIPTORS))


def _take_signals(server: _Server, parts: Parts) -> asyncio.Event:
    """Has signals stop the server or read files again. The event is set once it was SIGINT that stopped it."""
    is_interrupted = asyncio.Event()

    def stop() -> None:
        log.info("stopping")
        server.manager.stopping()
        parts.stopping.set()
        server.should_exit = True

    def interrupt() -> None:
        is_interrupted.set()
        server.force_exit = server.should_exit  # the second one is impatient
        stop()

    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stop)
    loop.add_signal_handler(signal.SIGINT, interrupt)
    loop.add_signal_handler(signal.SIGHUP, _reload, server, parts)
    return is_interrupted


def _reload(server: uvicorn.Server, parts: Parts) -> None:
    """Reads the tokens and the certificate again. What cannot be read stays as it was."""
    read_again(parts.access.tokens)
    settings, context = parts.settings, server.config.ssl
    if context is not None and settings.certificate is not None:
        try:
            renew(context, settings.certificate, settings.key)
        except OSError as error:
            log.error("certificate not read", extra=fields(reason=error.strerror or str(error)))
        else:
            log.info("certificate read")
