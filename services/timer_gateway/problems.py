"""Problem details (RFC 9457): the answers to requests that have failed, made of the protocol's errors or the gateway's.

The members of a protocol's error (`name`, `retryable`, `limit` and the like) go along, so that a program acts on them
as it would over ZeroMQ.
"""

from collections.abc import Mapping
from typing import Any, Final

import msgspec
from starlette.responses import Response

from timer_protocol.errors import ErrorCode, RpcError

MEDIA_TYPE: Final = "application/problem+json"

API_PAGE: Final = "/api"
"""The page that explains each type of problem, at the anchor of its name."""

STATUS: Final[Mapping[int, int]] = {
    ErrorCode.PARSE_ERROR: 400,
    ErrorCode.INVALID_REQUEST: 400,
    ErrorCode.METHOD_NOT_FOUND: 404,
    ErrorCode.INVALID_PARAMS: 400,
    ErrorCode.INTERNAL_ERROR: 500,
    ErrorCode.TIMER_NOT_FOUND: 404,
    ErrorCode.ID_CONFLICT: 409,
    ErrorCode.WRONG_STATE: 409,
    ErrorCode.LIMIT_REACHED: 422,
    ErrorCode.SHUTTING_DOWN: 503,
    ErrorCode.STORAGE_FAILED: 503,
    ErrorCode.NOT_PERMITTED: 403,
    ErrorCode.QUEUE_NOT_FOUND: 404,
    ErrorCode.PLAN_NOT_FOUND: 404,
}
"""The HTTP status of each error of the protocol."""

MEANINGS: Final[Mapping[str, str]] = {
    "parse_error": "The body is no JSON.",
    "invalid_request": "The body is JSON, but not what is asked for.",
    "method_not_found": "The protocol has no such method.",
    "invalid_params": "A parameter is missing, unknown, or has a value that is not allowed.",
    "internal_error": "A fault of the gateway or the server; the log says which.",
    "timer_not_found": "There is no timer with this id: it was never started, or it ended and was forgotten.",
    "id_conflict": "The id belongs to a timer that another request has started.",
    "wrong_state": "The state of the timer or plan does not allow this.",
    "limit_reached": "It is too large, or too many; `limit` and `maximum` tell. `later`: once others have ended.",
    "shutting_down": "The server is about to stop. Repeat it.",
    "storage_failed": "The server could not put the change on disk, so it has not happened. Repeat it.",
    "not_permitted": "The token has not the right, or reaches for ids beyond its prefix.",
    "queue_not_found": "There is no queue of this name.",
    "plan_not_found": "There is no plan of this name.",
    "server_away": "No timer server answers the gateway. Whether the request was applied is not known; repeat it with"
    " the same id or key.",
    "not_found": "There is nothing at this path.",
    "method_not_allowed": "The path does not take this HTTP method.",
    "not_http": "The request is no HTTP that can be read.",
    "incomplete": "The body ended before its end.",
    "too_slow": "The body took too long.",
    "too_large": "The body is too large.",
    "too_many_requests": "This caller has made too many requests; Retry-After tells when to go on.",
    "key_required": "The change has another effect when it is repeated: give it an Idempotency-Key.",
    "misdirected_request": "The gateway is not known under this Host; its operator lists names in TIMER_GATEWAY_HOSTS.",
    "foreign_origin": "A page of another origin has asked.",
    "unsupported_media_type": "Changes need Content-Type: application/json.",
    "repeated_header": "A header is there twice that may be there once.",
    "unauthorized": "A token is needed, or this one is not known.",
}
"""The types of problems, and what each means. The first ones are the protocol's own."""

_TOO_MANY_NOW = 429
_RETRY_AFTER_S = 1
_INTERNAL = 500
_BAD_GATEWAY = 502


def problem(
    status: int,
    type: str,
    title: str,
    detail: str,
    *,
    headers: Mapping[str, str] | None = None,
    **members: Any,
) -> Response:
    """An answer that says what was wrong and what is allowed.

    `type` is a short name such as `too_large`; `members` are what a program can act on.
    """
    body = {"type": f"{API_PAGE}#{type}", "title": title, "status": status, "detail": detail, **members}
    return Response(msgspec.json.encode(body), status, headers, MEDIA_TYPE)


def problem_of(error: RpcError, status: int | None = None) -> Response:
    """The answer for an error of the protocol, with the status that fits it unless another is given."""
    members = dict(error.data)
    name = str(members.get("name", "unknown"))
    detail = str(members.pop("reason", error.message))
    if status is None:
        status = _TOO_MANY_NOW if members.get("later") is True else STATUS.get(error.code, _INTERNAL)
    may_pass = members.get("retryable") is True or status == _TOO_MANY_NOW
    headers = {"Retry-After": str(_RETRY_AFTER_S)} if may_pass else None
    for taken in ("type", "title", "status", "detail"):
        members.pop(taken, None)
    return problem(status, name, error.message, detail, headers=headers, **members)


AWAY_ERROR: Final = RpcError(
    ErrorCode.INTERNAL_ERROR,
    "Server away",
    {
        "name": "server_away",
        "retryable": True,
        "reason": "the timer server does not answer; whether the request was applied is not known, but with the same id"
        " or key it can be repeated",
    },
)
"""What a request gets that no server has answered in time."""


def away() -> Response:
    """The answer to a request that no server has answered in time."""
    return problem_of(AWAY_ERROR, _BAD_GATEWAY)


class Problem(Exception):
    """Ends a request with a problem; the application makes the answer of it."""

    def __init__(self, status: int, type: str, title: str, detail: str, **members: Any) -> None:
        super().__init__(detail)
        self._made = (status, type, title, detail)
        self._members = members

    def response(self) -> Response:
        """The answer."""
        return problem(*self._made, **self._members)
