"""Looks up names in threads that nobody waits for: a name service may take its time, and cannot be stopped."""

import asyncio
import contextlib
import threading
from ipaddress import ip_address
from socket import SOCK_STREAM, getaddrinfo

from timer_webhooks.permitted import Address


class UnknownHost(OSError):
    """A name has no address. The text says which name, and what the system says."""


class Lookups:
    """The lookups for one endpoint. At most `at_once` run at the same time, however long those take that nobody awaits.

    So a name service that answers late cannot fill the process with threads, nor hold up other endpoints.
    """

    def __init__(self, at_once: int) -> None:
        self._room = asyncio.Semaphore(at_once)

    async def addresses(self, host: str, port: int) -> list[Address]:
        """The addresses of a host, at least one; a number is its own. Raises `UnknownHost`."""
        with contextlib.suppress(ValueError):
            return [ip_address(host)]
        await self._room.acquire()
        loop = asyncio.get_running_loop()
        found: asyncio.Future[list[Address]] = loop.create_future()

        def end(outcome: list[Address] | UnknownHost) -> None:
            self._room.release()
            if found.done():  # nobody waits for it any more
                return
            if isinstance(outcome, UnknownHost):
                found.set_exception(outcome)
            else:
                found.set_result(outcome)

        def find() -> None:
            outcome = _find(host, port)
            with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
                loop.call_soon_threadsafe(end, outcome)

        try:
            threading.Thread(target=find, name="webhook-lookup", daemon=True).start()
        except RuntimeError as error:
            end(UnknownHost(f"{host} cannot be looked up: {error}"))
        return await found


def _find(host: str, port: int) -> list[Address] | UnknownHost:
    try:
        found = getaddrinfo(host, port, type=SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        return UnknownHost(f"{host} cannot be looked up: {reason}")
    return list(dict.fromkeys(ip_address(place[0]) for *_, place in found))
