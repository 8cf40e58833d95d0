"""The errors of the protocol: one table of numbers, names and whether a retry can help."""

from enum import IntEnum
from typing import Any, Literal

from msgspec import Struct


class ErrorCode(IntEnum):
    """The number is the API; names and texts are for people. -327xx and -326xx are JSON-RPC 2.0's own."""

    PARSE_ERROR = -32700
    INVALID_REQUEST = -32600
    METHOD_NOT_FOUND = -32601
    INVALID_PARAMS = -32602
    INTERNAL_ERROR = -32603
    TIMER_NOT_FOUND = -32001
    ID_CONFLICT = -32002
    WRONG_STATE = -32003
    LIMIT_REACHED = -32004
    SHUTTING_DOWN = -32005
    STORAGE_FAILED = -32006
    NOT_PERMITTED = -32007
    QUEUE_NOT_FOUND = -32008
    PLAN_NOT_FOUND = -32009

    @property
    def wire_name(self) -> str:
        """The name as `error.data.name` carries it, such as `timer_not_found`."""
        return self.name.lower()

    @property
    def retryable(self) -> bool:
        """Whether the same request may succeed if it is sent again."""
        return self in (ErrorCode.SHUTTING_DOWN, ErrorCode.STORAGE_FAILED)


TITLES = {
    ErrorCode.PARSE_ERROR: "Parse error",
    ErrorCode.INVALID_REQUEST: "Invalid Request",
    ErrorCode.METHOD_NOT_FOUND: "Method not found",
    ErrorCode.INVALID_PARAMS: "Invalid params",
    ErrorCode.INTERNAL_ERROR: "Internal error",
    ErrorCode.TIMER_NOT_FOUND: "Timer not found",
    ErrorCode.ID_CONFLICT: "Id conflict",
    ErrorCode.WRONG_STATE: "Wrong state",
    ErrorCode.LIMIT_REACHED: "Limit reached",
    ErrorCode.SHUTTING_DOWN: "Shutting down",
    ErrorCode.STORAGE_FAILED: "Storage failed",
    ErrorCode.NOT_PERMITTED: "Not permitted",
    ErrorCode.QUEUE_NOT_FOUND: "Queue not found",
    ErrorCode.PLAN_NOT_FOUND: "Plan not found",
}


class RpcError(Struct, frozen=True):
    """The `error` member of a JSON-RPC response. `data` holds `name`, `retryable`, `reason` and what helps."""

    code: int
    message: str
    data: dict[str, Any] = {}


def remade(kind: type[Exception], *args: object) -> Exception:
    """An error for pickle and copy, which set its attributes then. `__init__` is left out: it takes other arguments."""
    return kind.__new__(kind, *args)


class Refusal(Exception):
    """A request that is answered with an error.

    `reason` is a sentence that says what was wrong and what is allowed; `help` are members for `error.data`
    that a program can act on, such as the limit or the state.
    """

    def __init__(self, code: ErrorCode, reason: str, **help: Any) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason
        self.help = help

    def __reduce__(self) -> tuple[Any, ...]:
        """How pickle and copy make it again: `args` has the reason alone."""
        return remade, (type(self), *self.args), self.__dict__

    def to_error(self) -> RpcError:
        """This refusal as it goes over the wire."""
        data = {"name": self.code.wire_name, "retryable": self.code.retryable, "reason": self.reason, **self.help}
        return RpcError(int(self.code), TITLES[self.code], data)


LimitScope = Literal["server", "key", "connection"]
"""For whom a limit holds: for all together, for the connections of one key together, or for one connection."""

_WHOSE: dict[LimitScope, str] = {"server": "", "key": " for one key", "connection": " for one connection"}


def limit_reached(limit: str, maximum: int, what: str, *, scope: LimitScope = "server", later: bool = False) -> Refusal:
    """The refusal of something that is too large or too many.

    `what` says what there is; the limit is added where it does not name it. `later` says that the same may succeed once
    others have ended. A client does not wait for that by itself.
    """
    reason = what if limit in what else f"{what}; {limit} is {maximum}{_WHOSE[scope]}"
    return Refusal(ErrorCode.LIMIT_REACHED, reason, limit=limit, maximum=maximum, scope=scope, later=later)
