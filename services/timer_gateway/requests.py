"""A single request of a caller, as the gateway has decoded it, and how it can fail."""

from typing import Any, Final

from msgspec import Struct

from timer_protocol.codec import Codec
from timer_protocol.errors import Refusal, RpcError
from timer_protocol.methods import METHODS, Method

CODEC: Final = Codec(METHODS)

METHOD_BY_NAME: Final = {method.name: method for method in METHODS}


class Request(Struct, frozen=True):
    """A method of the protocol with its params, which are of the type that the method declares."""

    method: Method
    params: Any


class Refused(Exception):
    """A request that is answered with an error of the protocol, by the server or by the gateway itself."""

    def __init__(self, error: RpcError) -> None:
        super().__init__(str(error.data.get("reason") or error.message))
        self.error: Final = error

    @classmethod
    def by(cls, refusal: Refusal) -> "Refused":
        """What the gateway itself refuses."""
        return cls(refusal.to_error())


class Away(Exception):
    """No server has answered in time. Whether the request was applied is not known. The text says why, for the log."""
