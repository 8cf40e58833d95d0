"""Sends requests to the timer server, in the name of a caller. All handlers use it.

What goes up is what the gateway has decoded and narrowed, encoded anew, never the bytes that came in. Requests of one
turn of the event loop travel in one message.
"""

import asyncio
from dataclasses import replace as with_values
from typing import Any, Final, TypeVar

import msgspec
from msgspec import Raw
from msgspec.structs import replace

from timer_client import AsyncTimerClient
from timer_client.calls import Call, new_id
from timer_client.errors import ServerError, TimerError
from timer_client.retry import Pause
from timer_client.settings import Settings
from timer_gateway.callers import Caller
from timer_gateway.limits import ANSWER_LIMIT_S, WAIT_MS, Waits
from timer_gateway.logs import log
from timer_gateway.metrics import AWAY, Metrics
from timer_gateway.narrowing import narrowed, needs_queue_prefix
from timer_gateway.repeating import naming, repeatable, unnamed_letters
from timer_gateway.requests import METHOD_BY_NAME, Away, Refused, Request
from timer_protocol.errors import TITLES, ErrorCode, Refusal, RpcError
from timer_protocol.log_lines import fields
from timer_protocol.messages import InfoParams
from timer_protocol.queue_messages import DeadMoved, DeadPage, Queue, QueueParams

T = TypeVar("T")

PROBE_LIMIT_S: Final = 1.0
"""How long a probe waits for the server: probes themselves are given up after a few seconds."""

_GET_QUEUE = METHOD_BY_NAME["queue.get"]
_INFO = METHOD_BY_NAME["server.info"]


class Upstream:
    """The way to the server, or to one of several. Belongs to the event loop of its first request."""

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        impatient = with_values(
            settings,
            timeout_s=min(settings.timeout_s, ANSWER_LIMIT_S),
            retry_deadline_s=min(settings.retry_deadline_s, ANSWER_LIMIT_S),
        )
        self.client: Final = AsyncTimerClient(settings=impatient, on_pause=self._note_pause)
        """For who follows events. Its requests are the gateway's own, in nobody's name."""
        self._metrics = metrics
        self._waits = Waits()
        self._id_prefix = settings.id_prefix
        self._is_away = False

    async def close(self) -> None:
        """Closes the connections; requests under way end as if the server were away."""
        await self.client.close()

    async def send(self, caller: Caller, request: Request) -> Raw:
        """The result as JSON, as the server has written it.

        `wait_ms` is cut to 25 s. Raises `Refused` for what the caller may not do and for an error of the server's, and
        `Away` where no server answers in time.
        """
        name = request.method.name
        try:
            result = await self._sent(caller, await self._narrowed(caller, request))
        except Refusal as refusal:
            self._metrics.called(name, refusal.code.wire_name)
            raise Refused.by(refusal) from None
        except Refused as refused:
            self._metrics.called(name, str(refused.error.data.get("name", "")))
            raise
        except Away:
            self._metrics.called(name, AWAY)
            raise
        self._metrics.called(name)
        return result

    async def ask(self, caller: Caller, request: Request, result: type[T]) -> T:
        """The same, decoded: for handlers that look into the result."""
        return msgspec.json.decode(await self.send(caller, request), type=result)

    async def is_there(self) -> bool:
        """Whether a server answers within a moment."""
        try:
            async with asyncio.timeout(PROBE_LIMIT_S):
                await self._called(Request(_INFO, InfoParams(own=True)))
        except (Away, Refused, TimeoutError):
            return False
        return True

    def note_answer(self) -> None:
        """Notes that the server answers."""
        if self._is_away:
            self._is_away = False
            self._metrics.server_away.set(0)
            log.info("server back")

    async def _narrowed(self, caller: Caller, request: Request) -> Request:
        """The request within what its caller may do. Raises `Refusal`, `Refused` and `Away`."""
        if not needs_queue_prefix(caller, request):
            return narrowed(caller, request, self._make_id)
        return narrowed(caller, request, self._make_id, await self._queue_prefix(request.params.queue))

    async def _queue_prefix(self, queue: str) -> str | None:
        """The prefix of a queue, None where there is no such queue. Raises `Refused` and `Away`."""
        try:
            return (await self._asked(Request(_GET_QUEUE, QueueParams(queue)), Queue)).prefix
        except Refused as refused:
            if refused.error.code == ErrorCode.QUEUE_NOT_FOUND:
                return None
            raise

    async def _sent(self, caller: Caller, request: Request) -> Raw:
        request = repeatable(request, self._id_prefix)
        asking = unnamed_letters(request)
        if asking is not None:
            return await self._moved(request, asking)
        wait_ms = min(getattr(request.params, "wait_ms", 0), WAIT_MS)
        if not wait_ms:
            return await self._called(request)
        with self._waits.one_of(caller.name), self._metrics.waits.track_inprogress():
            waiting = Request(request.method, replace(request.params, wait_ms=wait_ms))
            return await self._called(waiting, wait_ms)

    async def _moved(self, request: Request, asking: Request) -> Raw:
        """Has dead letters moved that the request does not name, by naming them."""
        page = await self._asked(asking, DeadPage)
        if not page.dead:
            return Raw(msgspec.json.encode(DeadMoved([], [], page.next)))
        named = naming(request, [letter.receipt for letter in page.dead])
        return Raw(msgspec.json.encode(replace(await self._asked(named, DeadMoved), next=page.next)))

    async def _asked(self, request: Request, result: type[T]) -> T:
        return msgspec.json.decode(await self._called(request), type=result)

    async def _called(self, request: Request, wait_ms: int = 0) -> Raw:
        """The result of a request as it stands. Raises `Refused` and `Away`."""
        params = Raw(msgspec.json.encode(request.params))
        call: Call[Any] = Call(request.method.name, params, Raw, wait_ms)
        try:
            result: Raw = await self.client.call(call)
        except ServerError as error:
            self.note_answer()
            raise Refused(RpcError(error.code, _title(error.code), error.data)) from None
        except TimerError as error:
            self._note_silence(str(error))
            raise Away(str(error)) from None
        self.note_answer()
        return result

    def _make_id(self, prefix: str) -> str:
        """A new id below a caller's prefix, and below that of the gateway's own key."""
        longer = prefix if prefix.startswith(self._id_prefix) else self._id_prefix
        return f"{longer}{new_id()}"

    def _note_pause(self, pause: Pause) -> None:
        self._note_silence(pause.reason)

    def _note_silence(self, reason: str) -> None:
        """Logs the first of requests that are not answered."""
        if not self._is_away:
            self._is_away = True
            self._metrics.server_away.set(1)
            log.warning("server away", extra=fields(reason=reason))


def _title(code: int) -> str:
    try:
        return TITLES[ErrorCode(code)]
    except ValueError:  # of a later server
        return "Error"
