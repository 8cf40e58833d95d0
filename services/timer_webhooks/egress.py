"""Where webhooks may connect, enforced where connections are made: the network backend under the HTTP library.

A name is looked up here, every address that it has is checked, and the connection is made to one of those addresses: an
answer of the name service that changes between check and connection has no effect. The name itself stays for TLS.
"""

import ssl
from collections.abc import Iterable, Sequence
from typing import Any

import httpcore

from timer_webhooks.lookup import Lookups
from timer_webhooks.permitted import Network, is_permitted

CONNECT_S = 4.0
"""How long one address may take to accept a connection; then the next is tried."""

TRIED_MOST = 3
"""Addresses of one name that are tried."""

ANSWER_BYTES = 65_536
"""The most of an answer that is read, its headers included."""


class AddressRefused(httpcore.ConnectError):
    """A name has an address to which nothing may be sent. The text says which, and what would permit it."""


class Egress(httpcore.AsyncNetworkBackend):
    """Connects to permitted addresses alone."""

    def __init__(self, listed: Sequence[Network], lookups: Lookups, *, is_plain: bool) -> None:
        self._listed = listed
        self._lookups = lookups
        self._is_plain = is_plain
        self._network = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ARG002, ASYNC109 - each address has its own, and the exchange one for all
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """A connection to a host. Raises `AddressRefused` where any of its addresses is not permitted.

        One that is not permitted among others that are is the mark of an attack, and which of them is used would be up
        to chance. Raises `UnknownHost`, and what the library raises for the last address that was tried.
        """
        addresses = await self._lookups.addresses(host, port)
        for address in addresses:
            if not is_permitted(address, self._listed, is_plain=self._is_plain):
                raise AddressRefused(self._refusal(host, str(address)))
        for last, address in enumerate(addresses[:TRIED_MOST], 1):
            try:
                stream = await self._network.connect_tcp(str(address), port, CONNECT_S, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                if last == min(len(addresses), TRIED_MOST):
                    raise
            else:
                return BoundedStream(stream)
        raise AssertionError(f"{host} has no address")

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,  # noqa: ARG002, ASYNC109
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,  # noqa: ARG002
    ) -> httpcore.AsyncNetworkStream:
        """Never a connection. Raises `AddressRefused`."""
        raise AddressRefused(f"{path} is a socket of this machine")

    def _refusal(self, host: str, address: str) -> str:
        where = f"{host} is at {address}" if host != address else address
        if self._is_plain:
            return f"{where}, which is not in a range that the endpoint lists: http goes to those alone"
        return f"{where}, which is no global unicast address and not in a range that the endpoint lists"


class BoundedStream(httpcore.AsyncNetworkStream):
    """A connection of which a bounded number of bytes is read: an answer without end costs no more than that."""

    def __init__(self, stream: httpcore.AsyncNetworkStream) -> None:
        self._stream = stream
        self._left_bytes = ANSWER_BYTES

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109
        """What has come. Raises `httpcore.ReadError` beyond the bound."""
        if not self._left_bytes:
            raise httpcore.ReadError(f"the answer is longer than {ANSWER_BYTES} bytes")
        data = await self._stream.read(min(max_bytes, self._left_bytes), timeout)
        self._left_bytes -= len(data)
        return data

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109
        """Sends data."""
        await self._stream.write(buffer, timeout)

    async def aclose(self) -> None:
        """Ends the connection."""
        await self._stream.aclose()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> httpcore.AsyncNetworkStream:
        """The connection with TLS on it, which is bounded likewise."""
        try:
            return BoundedStream(await self._stream.start_tls(ssl_context, server_hostname, timeout))
        except (
            BaseException
        ):  # the library closes nothing where the handshake is cancelled, as by the end of the exchange
            await self._stream.aclose()
            raise

    def get_extra_info(self, info: str) -> Any:
        """What the library asks of a connection."""
        return self._stream.get_extra_info(info)
