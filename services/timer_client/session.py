"""Exchanges: calls on their way to the server and back, as messages. No socket and no clock.

An `Exchange` holds the calls of one message. Transports match a reply to its exchange by the envelope; inside, the
JSON-RPC id of a request is its place in the exchange. Calls answered with an error that a retry can help stay
outstanding, and only they are sent again.
"""

from collections.abc import Hashable, Iterable, Iterator, Sequence
from functools import lru_cache
from operator import attrgetter
from typing import Any, Generic, TypeVar

import msgspec
from msgspec import UNSET, Raw, Struct

from timer_client.calls import Call
from timer_client.errors import BadReply, LimitReached, ServerError, TimerError, server_error
from timer_protocol.codec import Response
from timer_protocol.errors import RpcError
from timer_protocol.limits import WAIT_MAXIMUM_MS

R = TypeVar("R")

CALLS_PER_MESSAGE = 100
"""Most calls in a message: more would save next to nothing, and the first waits for the last."""

BYTES_PER_MESSAGE = 256 * 1024
"""Most bytes in a message, well below what a server takes by default: large payloads gain nothing from sharing one."""

_REQUEST_OVERHEAD_BYTES = 64
"""Bytes of a request around its method and params, rounded up."""

_wait_ms, _result, _id = attrgetter("wait_ms"), attrgetter("result"), attrgetter("id")

_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class _Request(Struct, gc=False):
    id: int
    method: str
    params: Raw
    jsonrpc: str = "2.0"


class _Success(Struct, Generic[R], gc=False):
    """A response that succeeded, with its result decoded in the same step."""

    id: int
    result: R


_encoder = msgspec.json.Encoder()
_responses = msgspec.json.Decoder(list[Response] | Response)


# Looked up once: parametrizing a type takes longer than decoding a reply, and so does hashing one that is parametrized.
@lru_cache
def _success_decoder(result: Hashable) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(_Success[result])  # type: ignore[valid-type]  # known at run time


@lru_cache
def _successes_decoder(result: Hashable) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(list[_Success[result]])  # type: ignore[valid-type]  # known at run time


@lru_cache
def _decoder(of: Hashable) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(of)


class Exchange:
    """Calls that travel in one message. `outcomes` holds, in their order, a result or a `TimerError` for each."""

    def __init__(self, calls: Sequence[Call[Any]]) -> None:
        self.calls = calls
        self.outcomes: list[Any] = [None] * len(calls)
        self.outstanding: Sequence[int] = range(len(calls))
        """Places of the calls to send, for the first time or again."""
        self.oversize: LimitReached | None = None
        """Set when the server does not take a message as large as this; its calls fit in several."""
        self.wait_s = min(max(map(_wait_ms, calls)), WAIT_MAXIMUM_MS) / 1000
        types: set[Any] = set(map(_result, calls))
        self._only_type = types.pop() if len(types) == 1 else None
        """The type of all results, if it is one."""

    @property
    def unsettled(self) -> bool:
        """Whether there is something to send."""
        return bool(self.outstanding) and self.oversize is None

    @property
    def is_turned_away(self) -> bool:
        """Whether the server has refused calls that it, or another one, may take later."""
        outcomes = (self.outcomes[place] for place in self.outstanding)
        return any(isinstance(outcome, ServerError) and outcome.retryable for outcome in outcomes)

    @property
    def reason(self) -> str:
        """Why calls have to be sent again: the first error that may pass."""
        return str(self.outcomes[self.outstanding[0]])

    def encode(self) -> bytes:
        """The message with the outstanding calls."""
        requests = [_Request(place, self.calls[place].method, self.calls[place].params) for place in self.outstanding]
        return _encoder.encode(requests[0] if len(requests) == 1 else requests)

    def accept(self, body: bytes) -> None:
        """Takes the reply to the message of `encode`. Never raises for what a server sends: it becomes an outcome."""
        if not self._accept_results(body):
            self._accept_responses(body)

    def give_up(self, error: TimerError) -> None:
        """Makes an error the outcome of all outstanding calls."""
        for place in self.outstanding:
            self.outcomes[place] = error
        self.outstanding = ()

    def _accept_results(self, body: bytes) -> bool:
        """Takes the usual reply in one step: all calls succeeded, with results of one type, in their order."""
        if self._only_type is None:
            return False
        try:
            if len(self.outstanding) == 1:
                answers = [_success_decoder(self._only_type).decode(body)]
            else:
                answers = _successes_decoder(self._only_type).decode(body)
        except _UNREADABLE:
            return False
        if [*map(_id, answers)] != [*self.outstanding]:
            return False
        for answer in answers:
            self.outcomes[answer.id] = answer.result
        self.outstanding = ()
        return True

    def _accept_responses(self, body: bytes) -> None:
        """Takes any reply, response by response."""
        try:
            responses = _responses.decode(body)
        except _UNREADABLE as error:
            self.give_up(BadReply(f"the reply is not one of a timer server: {error}"))
            return
        if isinstance(responses, Response):
            if responses.id is None and responses.error is not UNSET:
                self._accept_refusal(responses.error)
                return
            responses = [responses]
        answered = {response.id: response for response in responses}
        again = []
        for place in self.outstanding:
            outcome = self._outcome(place, answered.get(place))
            self.outcomes[place] = outcome
            if isinstance(outcome, ServerError) and (outcome.retryable or self._had_no_room(outcome)):
                again.append(place)
        self.outstanding = again

    def _accept_refusal(self, error: RpcError) -> None:
        """Takes an error that answers the message as a whole."""
        refusal = server_error(error)
        if len(self.outstanding) > 1 and isinstance(refusal, LimitReached):
            self.oversize = refusal
        elif refusal.retryable:
            for place in self.outstanding:
                self.outcomes[place] = refusal
        else:
            self.give_up(refusal)

    def _had_no_room(self, error: ServerError) -> bool:
        """Whether a call was refused only because earlier answers filled the reply."""
        return error.data.get("limit") in ("reply_bytes", "reply_entries") and len(self.outstanding) > 1

    def _outcome(self, place: int, response: Response | None) -> Any:
        call = self.calls[place]
        if response is None:
            return BadReply(f"the reply leaves out the answer to {call.method}")
        if response.error is not UNSET:
            return server_error(response.error)
        if response.result is UNSET:
            return BadReply(f"the answer to {call.method} has neither a result nor an error")
        try:
            result_type: Any = call.result
            return _decoder(result_type).decode(response.result)
        except _UNREADABLE as error:
            return BadReply(f"the result of {call.method} is not what this client knows: {error}")


class Batches:
    """Divides calls into messages that the server takes. It learns limits that are lower than assumed."""

    def __init__(self) -> None:
        self.max_calls = CALLS_PER_MESSAGE
        self.max_bytes = BYTES_PER_MESSAGE

    def cut(self, calls: Iterable[Call[Any]]) -> Iterator[list[Call[Any]]]:
        """Divides calls, in their order, into lists for one message each."""
        batch: list[Call[Any]] = []
        size = 0
        for call in calls:
            call_size = _size(call)
            if batch and (len(batch) >= self.max_calls or size + call_size > self.max_bytes):
                yield batch
                batch, size = [], 0
            batch.append(call)
            size += call_size
        if batch:
            yield batch

    def cut_smaller(self, exchange: Exchange) -> Iterator[list[Call[Any]]]:
        """Divides the calls of an exchange that was too large, and so not applied, into smaller lists."""
        self._learn(exchange)
        return self.cut(exchange.calls)

    def _learn(self, exchange: Exchange) -> None:
        data = exchange.oversize.data if exchange.oversize is not None else {}
        maximum = data.get("maximum")
        size = sum(map(_size, exchange.calls))
        count = len(exchange.calls)
        if data.get("limit") == "max_message_bytes":
            allowed = maximum if isinstance(maximum, int) and maximum < size else size // 2
            self.max_bytes = min(self.max_bytes, allowed)
        else:
            allowed = maximum if isinstance(maximum, int) and maximum < count else count // 2
            self.max_calls = max(1, min(self.max_calls, allowed))


def _size(call: Call[Any]) -> int:
    """At least the bytes that a call takes in a message."""
    return len(call.params) + len(call.method) + _REQUEST_OVERHEAD_BYTES
