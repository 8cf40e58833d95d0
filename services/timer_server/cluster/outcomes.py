"""What has come of the actions of a member. Each is told with when the statement was sent and its reply received."""

from typing import NamedTuple

from timer_server.cluster.actions import Statement
from timer_server.store.membership import View


class Beaten(NamedTuple):
    """A join or a beat was acknowledged, or has found this server declared dead: then `joined` is None.

    `clock_ns` is PostgreSQL's clock when it ran, and `view` what it read.
    """

    joined: int | None
    clock_ns: int
    view: View


class DeclaredDead(NamedTuple):
    """Which servers the statement has declared dead. The others have beaten since, or were declared dead already."""

    incarnations: frozenset[str]


class Taken(NamedTuple):
    """The shards that this server owns now, by number: their epoch and the last place of their log."""

    shards: dict[int, tuple[int, int]]


class Forgotten(NamedTuple):
    """Rows of dead servers were removed."""


class Departed(NamedTuple):
    """This server counts as dead."""


class Failed(NamedTuple):
    """A statement has failed, or nothing is known of what came of it. It will not be heard of any more."""

    statement: Statement


class ReadUp(NamedTuple):
    """The log of an offered shard was read ahead."""

    number: int


class Loaded(NamedTuple):
    """A shard's log was read to its end in an epoch: the place there, and the moment of its last entry."""

    number: int
    epoch: int
    last_place: int
    last_at_ns: int


class Given(NamedTuple):
    """The commit that gives a shard away is durable."""

    number: int


class Raised(NamedTuple):
    """After a lost connection the shard was found to be this server's, and its epoch was raised: it was not given."""

    number: int
    epoch: int


class Lost(NamedTuple):
    """A commit or a raise has found that a shard is no longer this server's."""

    number: int


Outcome = Beaten | DeclaredDead | Taken | Forgotten | Departed | Failed | ReadUp | Loaded | Given | Raised | Lost
