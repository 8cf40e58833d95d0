"""One HTTP exchange with an endpoint: the webhook there, and what its answer means.

`httpcore` does what an attempt needs and nothing else: it follows no redirect, takes no proxy from the environment,
keeps no cookie and decodes no body; and it has connections made by `egress`.
"""

import asyncio
import os
import ssl
import time
from typing import Literal, get_args

import httpcore
from msgspec import Struct

from timer_protocol import __version__
from timer_protocol.traces import Trace, fault_in
from timer_webhooks.config import ConfigError, Endpoint
from timer_webhooks.egress import AddressRefused, Egress
from timer_webhooks.lookup import Lookups
from timer_webhooks.schedule import retry_after_s
from timer_webhooks.signing import signed_headers
from timer_webhooks.webhook import Webhook

EXCHANGE_S = 15.0
"""How long an exchange may take, from the lookup of the name to the end of the answer."""

Outcome = Literal[
    "delivered", "redirect", "client_error", "gone", "server_error", "timeout", "unreachable", "refused", "broken"
]
"""What became of an attempt: a status, or why there is none. `refused` is an address that is not permitted."""

OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)

_REASON_CHARACTERS = 200
"""The most that is kept of a reason, parts of which a stranger may have written."""

_GONE = 410
_OF_HUNDREDS: dict[int, Outcome] = {2: "delivered", 3: "redirect", 4: "client_error", 5: "server_error"}

_HEADERS = [
    (b"content-type", b"application/json"),
    (b"user-agent", f"timer-webhooks/{__version__}".encode()),
    (b"accept-encoding", b"identity"),
    (b"connection", b"close"),
]

_FAILURES = (OSError, httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException)


class Answer(Struct, frozen=True):
    """What an attempt has come to. `reason` says it for people."""

    outcome: Outcome
    reason: str
    status: int | None = None
    retry_after_s: float = 0.0

    @property
    def is_delivered(self) -> bool:
        """Whether the endpoint has taken it: by 2xx, and by nothing else."""
        return self.outcome == "delivered"


class Exchange:
    """Exchanges with one endpoint. Each has a connection of its own, so a name is looked up and checked each time."""

    def __init__(self, endpoint: Endpoint) -> None:
        """Raises `ConfigError` where the file of certificates cannot be used."""
        url = endpoint.url
        self._keys = endpoint.keys
        self._url = httpcore.URL(scheme=url.scheme, host=url.host, port=url.port, target=url.target)
        self._headers = [(b"host", url.authority.encode()), *_HEADERS]
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=_tls(endpoint),
            max_connections=None,
            max_keepalive_connections=0,
            network_backend=Egress(endpoint.allow, Lookups(2 * endpoint.concurrency), is_plain=url.is_plain),
        )

    async def post(self, webhook: Webhook, trace: Trace | None = None) -> Answer:
        """Sends a webhook once, in the trace in which its timer was started."""
        now_s = time.time()
        signed = signed_headers(webhook.id, webhook.body, self._keys, int(now_s))
        headers = [*self._headers, *signed, *_trace_headers(trace)]
        request = self._pool.stream("POST", self._url, headers=headers, content=webhook.body)
        answer: Answer | None = None
        try:
            async with asyncio.timeout(EXCHANGE_S), request as response:
                answer = _answer(response, now_s)
                async for _ in response.aiter_stream():  # so that the endpoint can write its answer to the end
                    pass
        except _FAILURES as error:
            answer = answer or _failure(error)
        assert answer is not None
        return answer


def _tls(endpoint: Endpoint) -> ssl.SSLContext | None:
    if endpoint.url.is_plain:
        return None
    if endpoint.ca is None:
        return ssl.create_default_context()
    try:
        return ssl.create_default_context(cafile=endpoint.ca)
    except OSError as error:
        what = error.strerror or error
        raise ConfigError(f"endpoints.{endpoint.name}.ca: {endpoint.ca} cannot be used: {what}") from None


def _trace_headers(trace: Trace | None) -> list[tuple[bytes, bytes]]:
    """The headers of W3C Trace Context. A trace that a server should not have taken is left out, as it is no header."""
    if trace is None or fault_in(trace) is not None:
        return []
    headers = [(b"traceparent", trace.traceparent.encode())]
    if trace.tracestate:
        headers.append((b"tracestate", trace.tracestate.encode()))
    return headers


def _answer(response: httpcore.Response, now_s: float) -> Answer:
    status = response.status
    outcome: Outcome = "gone" if status == _GONE else _OF_HUNDREDS.get(status // 100, "broken")
    asked = next((value for name, value in response.headers if name.lower() == b"retry-after"), b"")
    return Answer(outcome, f"answered {status}", status, retry_after_s(asked.decode("latin-1"), now_s))


def _failure(error: Exception) -> Answer:
    """What an attempt has come to that had no answer."""
    if isinstance(error, TimeoutError):
        return Answer("timeout", f"no answer within {EXCHANGE_S:g} s")
    reason = _reason(error)[:_REASON_CHARACTERS]
    if isinstance(error, AddressRefused):
        return Answer("refused", reason)
    no_connection = isinstance(error, httpcore.ConnectError | httpcore.ConnectTimeout | OSError)
    return Answer("unreachable" if no_connection else "broken", reason)


def _reason(error: BaseException) -> str:
    """What the system, TLS or the HTTP library says, whoever has wrapped it."""
    while isinstance(inner := error.__cause__ or next(iter(error.args), None), BaseException):
        error = inner
    if isinstance(error, ssl.SSLError):
        return str(getattr(error, "verify_message", "") or error.reason or error)
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno)
    return str(error) or type(error).__name__
