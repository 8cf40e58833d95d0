"""How a server stands among those that share its store, as the loop asks it."""

from typing import Protocol

import zmq

from timer_server.store.base import ShardLost


class Standing(Protocol):
    """Runs the membership of a server: the loop has it step once a turn, and looks before it tells."""

    def step(self, now_ns: int) -> list[ShardLost]:
        """Takes what has come, and does what is due. Returns shards that are this server's no longer, perhaps none:
        nobody is to be told what is in flight then.

        Raises `StoreError` where it can be no member.
        """

    def next_due_ns(self) -> int | None:
        """When there is something to do although no poller wakes up: 0 is now, None is never."""

    def register(self, poller: zmq.Poller) -> None:
        """Has a poller wake up when something has come."""

    def tells(self, now_ns: int) -> bool:
        """Whether what was computed before this moment may be told: no other server can own what this one owned."""

    def leave(self, now_ns: int) -> None:
        """Gives all shards to others from now on."""

    @property
    def has_left(self) -> bool:
        """Whether it has given all, and owns nothing any more."""
