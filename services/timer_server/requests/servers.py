"""The servers of the store, as clients are told of them."""

from msgspec import Struct

from timer_protocol.messages import ServerAddresses, UnreachableServer


class Servers(Struct):
    """The servers there are, this one among them."""

    listed: tuple[ServerAddresses, ...]
    version: int = 1
    """Rises with each change of the list; all servers tell the same.

    One that has never met another keeps 1, and clients ask for no list.
    """
    unreachable: tuple[UnreachableServer, ...] = ()
    """Those that this one has no connection with."""
