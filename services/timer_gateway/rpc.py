"""POST /rpc: JSON-RPC 2.0, with all methods of the protocol.

The requests of a batch go up together. What JSON-RPC answers is answered with 200, its errors too; other statuses, with
problem details, are for what kept the gateway from asking, or the server from answering.
"""

import asyncio
from typing import Final

from msgspec import UNSET, UnsetType
from starlette.requests import Request as HttpRequest
from starlette.responses import Response

from timer_gateway.callers import Caller
from timer_gateway.limits import BATCH_REQUESTS, body_of
from timer_gateway.parts import Parts
from timer_gateway.problems import AWAY_ERROR
from timer_gateway.requests import CODEC, Away, Refused, Request
from timer_protocol.codec import Failure, Ignored, Malformed, MethodCall, Parsed, RequestId, Result, encode
from timer_protocol.methods import Method

Answer = Result | Failure | None

_JSON = "application/json"
_NOTIFIED = 204


class Rpc:
    """Answers bodies of JSON-RPC."""

    def __init__(self, parts: Parts) -> None:
        self._upstream: Final = parts.upstream
        self._metrics: Final = parts.metrics
        self._rate: Final = parts.rate

    async def post(self, http: HttpRequest) -> Response:
        """POST /rpc. Raises `Away` where no request of it was answered, and `Problem`."""
        caller: Caller = http.scope["caller"]
        parsed = CODEC.decode(await body_of(http), BATCH_REQUESTS)
        if not isinstance(parsed, list):
            answer = await self._answer(caller, parsed)
            return Response(status_code=_NOTIFIED) if answer is None else Response(encode(answer), media_type=_JSON)
        self._rate.spend(caller.name, len(parsed) - 1)
        outcomes = await asyncio.gather(*(self._answer(caller, each) for each in parsed), return_exceptions=True)
        answers = _answers(parsed, outcomes)
        return Response(encode(answers), media_type=_JSON) if answers else Response(status_code=_NOTIFIED)

    async def _answer(self, caller: Caller, parsed: Parsed) -> Answer:
        """The answer to one request, None for a notification. Raises `Away`."""
        match parsed:
            case Malformed():
                self._metrics.called(parsed.method, str(parsed.error.data.get("name", "")))
                return Failure(parsed.error, parsed.id)
            case Ignored():
                return None
        method = CODEC.method_of(parsed)
        if parsed.id is UNSET and _is_for_the_answer(method):
            return None
        try:
            result = await self._upstream.send(caller, Request(method, parsed.params))
        except Refused as refused:
            return None if parsed.id is UNSET else Failure(refused.error, parsed.id)
        return None if parsed.id is UNSET else Result(result, parsed.id)


def _is_for_the_answer(method: Method) -> bool:
    """Whether a request is of use only to who gets its answer, so that a notification of it is not applied."""
    return method.needs_answer or method.right in (None, "read")


def _answers(parsed: list[Parsed], outcomes: list[Answer | BaseException]) -> list[Result | Failure]:
    """The answers to a batch. Raises `Away` where all that is owed an answer has none."""
    answers: list[Result | Failure] = []
    silence: Away | None = None
    is_any_answered = False
    for each, outcome in zip(parsed, outcomes, strict=True):
        if isinstance(outcome, Away):
            silence = outcome
            if (request_id := _id_of(each)) is not UNSET:
                answers.append(Failure(AWAY_ERROR, request_id))
        elif isinstance(outcome, BaseException):
            raise outcome
        elif outcome is not None:
            is_any_answered = True
            answers.append(outcome)
    if silence is not None and not is_any_answered:
        raise silence
    return answers


def _id_of(parsed: Parsed) -> RequestId | UnsetType:
    return parsed.id if isinstance(parsed, MethodCall) else UNSET
