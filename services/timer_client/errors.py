"""The errors of the client: a base class, and a class for every reason that a program may act on."""

from typing import TYPE_CHECKING, Any

from timer_protocol.errors import ErrorCode, RpcError, remade
from timer_protocol.settings import endpoints

if TYPE_CHECKING:
    from timer_client.cursor import Cursor


class TimerError(Exception):
    """Base of every error of this package.

    `retryable` says whether the same call may succeed later. The client has then already tried until its
    deadline; ids and keys were made before the first try, so calling again with the same ones is safe.
    """

    retryable: bool = False

    def __reduce__(self) -> tuple[Any, ...]:
        """How pickle and copy make it again: from what it holds, as the arguments of `__init__` are not all kept."""
        return remade, (type(self), *self.args), self.__dict__


class ConfigError(TimerError):
    """A setting cannot be used. The text names it, its value and what is allowed."""


class InvalidArgument(TimerError, ValueError, TypeError):
    """An argument is of the wrong kind, or cannot be sent, such as a payload that JSON cannot hold.

    The text names the argument, the place in it, and what is allowed. It is a `ValueError` and a `TypeError`, as which
    Python's own functions refuse an argument.
    """


class ClientClosed(TimerError):
    """The client was closed before or during the call."""

    def __init__(self) -> None:
        super().__init__("the client is closed")


class ServerUnreachable(TimerError):
    """No answer came until the deadline. Whether the server has applied the call is not known."""

    retryable = True

    def __init__(self, endpoint: str, tried_s: float, tries: int, reason: str) -> None:
        times = "once" if tries == 1 else f"{tries} times"
        # Of several servers the reason names each.
        what = f"the server at {endpoint} could not" if len(endpoints(endpoint)) == 1 else "none of the servers could"
        super().__init__(f"{what} be reached: tried {times} in {tried_s:.1f} s; {reason}")
        self.endpoint = endpoint
        """Where the server is; of several, their endpoints, separated by commas."""
        self.tried_s = tried_s
        self.tries = tries


class LocalFailure(TimerError):
    """This system lacks what a connection needs, such as file descriptors or memory. No server was asked."""

    def __init__(self, endpoint: str, reason: str) -> None:
        super().__init__(f"no connection to {endpoint} can be made from here: {reason}")


class AccessDenied(TimerError):
    """The server refuses this client's key, or wants one. Trying again cannot help."""


class BadReply(TimerError):
    """The answer did not come from a timer server, or from one with a protocol that this client does not know."""


class EventsTruncated(TimerError):
    """Events that were asked for are gone: retention has removed them, or the server has another or an older log.

    Those that are left were handed out before. Pass `resume_after` as `after` to go on; `timers` tells the present
    state in place of the missing events.
    """

    def __init__(self, asked_after: "Cursor", resume_after: "Cursor") -> None:
        super().__init__(f"some of the events after {asked_after} are gone; going on after {resume_after}")
        self.asked_after = asked_after
        self.resume_after = resume_after


class LeaseLost(TimerError):
    """The lease of a delivery had ended before it was settled; another worker may have its end by now.

    Once another worker has the end, nothing that this one does counts. `timer_id` is the id of the timer.
    """

    def __init__(self, queue: str, timer_id: str, receipt: str) -> None:
        super().__init__(f"the lease of {timer_id} from queue {queue!r} is over: another worker may have it")
        self.queue = queue
        self.timer_id = timer_id
        self.receipt = receipt


class ServerError(TimerError):
    """The server's answer was an error. `code` is the protocol's number, `name` its name, `data` what helps."""

    def __init__(self, error: RpcError) -> None:
        super().__init__(str(error.data.get("reason") or error.message))
        self.code = error.code
        self.data = error.data
        self.name = str(error.data.get("name") or _name_of(error.code))
        self.retryable = bool(error.data.get("retryable", False))


class InvalidRequest(ServerError):
    """The request cannot be applied as it stands: a parameter is wrong, or the server has no such method."""


class TimerNotFound(ServerError):
    """There is no timer with this id: it was never started, or it ended and retention has removed it."""


class PlanNotFound(ServerError):
    """There is no plan with this id: nobody has put it, or it was deleted."""


class QueueNotFound(ServerError):
    """There is no queue of this name: nobody has made it, or it was deleted."""


class IdConflict(ServerError):
    """The id belongs to a timer that another request has started."""


class WrongState(ServerError):
    """The state of a timer or plan does not allow this, such as pausing a timer that has fired."""


class LimitReached(ServerError):
    """A limit of the server's is reached; `data` names it."""


class ShuttingDown(ServerError):
    """The server is about to stop."""


class NotPermitted(ServerError):
    """This client's key lacks the `right` that `data` names, or the call is about ids outside its `prefix`."""


class StorageFailed(ServerError):
    """The server could not put the change on disk, so it has not happened."""


_CLASSES: dict[int, type[ServerError]] = {
    ErrorCode.INVALID_REQUEST: InvalidRequest,
    ErrorCode.METHOD_NOT_FOUND: InvalidRequest,
    ErrorCode.INVALID_PARAMS: InvalidRequest,
    ErrorCode.TIMER_NOT_FOUND: TimerNotFound,
    ErrorCode.PLAN_NOT_FOUND: PlanNotFound,
    ErrorCode.QUEUE_NOT_FOUND: QueueNotFound,
    ErrorCode.ID_CONFLICT: IdConflict,
    ErrorCode.WRONG_STATE: WrongState,
    ErrorCode.LIMIT_REACHED: LimitReached,
    ErrorCode.SHUTTING_DOWN: ShuttingDown,
    ErrorCode.STORAGE_FAILED: StorageFailed,
    ErrorCode.NOT_PERMITTED: NotPermitted,
}


def server_error(error: RpcError) -> ServerError:
    """The exception for the `error` member of a response."""
    return _CLASSES.get(error.code, ServerError)(error)


def _name_of(code: int) -> str:
    try:
        return ErrorCode(code).wire_name
    except ValueError:
        return "unknown"
