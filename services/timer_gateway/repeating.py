"""Makes requests such that sending them twice has the effect of sending them once.

A try may have been applied although its answer was lost. So an id or a key that a request lacks is made before the
first try, and dead letters that a request does not name are named.
"""

from msgspec.structs import replace

from timer_client.calls import new_id
from timer_gateway.requests import METHOD_BY_NAME, Request
from timer_protocol.messages import StartParams
from timer_protocol.queue_messages import DeadParams, MoveDeadParams

DEAD_LETTERS = METHOD_BY_NAME["queue.dead"]


def repeatable(request: Request, id_prefix: str) -> Request:
    """The request with its id or key; ids that are made begin with `id_prefix`."""
    params = request.params
    if isinstance(params, StartParams):
        return request if params.id is not None else _with(request, id=f"{id_prefix}{new_id()}")
    if getattr(params, "key", "none is taken") is None:
        return _with(request, key=new_id())
    return request


def unnamed_letters(request: Request) -> Request | None:
    """What asks for the dead letters that a request is about, where it does not name them."""
    params = request.params
    if not isinstance(params, MoveDeadParams) or params.receipts is not None:
        return None
    return Request(DEAD_LETTERS, DeadParams(params.queue, params.after, params.limit))


def naming(request: Request, receipts: list[str]) -> Request:
    """The same request about these dead letters."""
    return Request(request.method, MoveDeadParams(request.params.queue, receipts))


def _with(request: Request, **members: str) -> Request:
    return Request(request.method, replace(request.params, **members))
