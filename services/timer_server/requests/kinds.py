"""What has to be known of the methods to apply their requests where there are other servers."""

from collections.abc import Container, Mapping
from typing import get_args

from msgspec import Struct

from timer_protocol.codec import Codec, MethodCall
from timer_protocol.messages import StartParams
from timer_protocol.methods import METHODS, Method
from timer_server.core.engine import TimerParams
from timer_server.requests.dispatch import is_applied_unanswered
from timer_server.requests.placement import shard_number


class Kind(Struct, frozen=True, gc=False):
    """What a dispatcher looks at in each request of a method.

    `id_name` is the parameter with the id whose shard a request is about; None for those about several shards.
    `is_of_shard` says that the shard itself applies it.
    """

    method: Method
    id_name: str | None
    is_of_shard: bool
    is_keyed: bool
    is_start: bool
    is_applied_unanswered: bool


class Kinds:
    """The kinds of some methods' requests, by the types of their calls, in a store with so many shards."""

    def __init__(self, codec: Codec, names: Container[str], shards: int) -> None:
        self.by_type: Mapping[type, Kind] = {
            codec.call_type(method.name): _kind(method) for method in METHODS if method.name in names
        }
        self._shards = shards

    def of(self, call: MethodCall) -> Kind:
        """The kind of a request."""
        return self.by_type[type(call)]

    def shard_of(self, call: MethodCall) -> int | None:
        """The shard of a request about one id; None for others."""
        id_name = self.by_type[type(call)].id_name
        return None if id_name is None else self.shard_of_id(getattr(call.params, id_name))

    def shard_of_id(self, name: str) -> int:
        """The shard of the id of a timer, or of the name of a plan."""
        return shard_number(name, self._shards)


def _kind(method: Method) -> Kind:
    id_name = {"id": "id", "plan": "plan"}.get(method.scope)
    is_keyed = "key" in method.params.__struct_fields__
    return Kind(
        method,
        id_name,
        method.params in get_args(TimerParams),
        is_keyed,
        method.params is StartParams,
        is_applied_unanswered(method),
    )
