"""What a member of the cluster wants done. Whoever runs it tells it of each outcome."""

from typing import NamedTuple

from timer_server.store.membership import ServerRow, Told


class Join(NamedTuple):
    """Write down this server's row, and read all others."""


class Beat(NamedTuple):
    """Raise the beat in this server's row with what it tells, and read all rows.

    Beats go over a connection of their own, since other changes may wait for a lock.
    """

    told: Told


class DeclareDead(NamedTuple):
    """Declare servers dead that are as they were read: one synchronous statement."""

    servers: tuple[ServerRow, ...]


class Claim(NamedTuple):
    """A shard to take if it is still in this epoch. Its timeline is the boot clock and `ahead_ns`, and a tie of that is
    written down with the taking."""

    number: int
    epoch: int
    ahead_ns: int


class Take(NamedTuple):
    """Make this server the owner of shards, each under an epoch one higher: one synchronous statement."""

    claims: tuple[Claim, ...]


class Forget(NamedTuple):
    """Remove the rows of servers that are dead and own nothing."""


class Depart(NamedTuple):
    """Declare this server dead, which has given all that it served."""


class EndBlockers(NamedTuple):
    """End the sessions that hold the locks which a statement has waited for too long: that of the beat, or the other.

    It goes over a third connection, since both of these may wait.
    """

    of_beat: bool


class ReadAhead(NamedTuple):
    """Read the log of a shard that its owner wants to give to this server."""

    number: int


class Load(NamedTuple):
    """Read what is missing of a shard's log, by statements that begin now: its epoch is durable."""

    number: int
    epoch: int


class Serve(NamedTuple):
    """Serve a shard from now on. Its timeline is the boot clock and `ahead_ns`."""

    number: int
    epoch: int
    ahead_ns: int


class Refuse(NamedTuple):
    """Do not serve a shard: its log does not end where its row says. The operator is to be told."""

    number: int
    last_place: int
    found_place: int


class Give(NamedTuple):
    """Answer no request for a shard any more, and write behind all else the commit that makes another its owner.

    It goes by the fence, with an epoch one higher and the moment of the timeline; `to` is None for nobody.
    """

    number: int
    epoch: int
    to: str | None


class Drop(NamedTuple):
    """Let go of a shard, or of what was read ahead of it, and tell nobody anything of it."""

    number: int


class BeginAnew(NamedTuple):
    """This server was declared dead: drop all shards, and join under a new incarnation."""


Statement = Join | Beat | DeclareDead | Take | Forget | Depart
"""Actions that are one statement, and the outcome of which may remain unknown."""

Action = Statement | EndBlockers | ReadAhead | Load | Serve | Refuse | Give | Drop | BeginAnew
