"""What the servers of one store write down for each other. Each reads all of it with every beat of its own."""

from typing import NamedTuple

from msgspec import Struct


class Tie(NamedTuple):
    """A moment of a shard's timeline, and what PostgreSQL's clock showed then, or a little later.

    `epoch` is that of the owner whose timeline it is.
    """

    number: int
    epoch: int
    timeline_ns: int
    clock_ns: int


class Moment(NamedTuple):
    """A moment of a shard's timeline, as its owner tells it with a beat."""

    number: int
    epoch: int
    timeline_ns: int


class Offer(NamedTuple):
    """A shard that its owner wants to give, and the incarnation that is to have it."""

    number: int
    to: str


class Told(Struct, frozen=True, array_like=True, gc=False):
    """What a server tells the others with its beat: a new member goes to the end, with a default.

    `ready` are the shards offered to it whose logs it has read ahead. The rest is for whoever forwards requests and
    counts timers: where the server is reached, its release, and how many timers are pending in its shards, in all and
    below each prefix that has a share of them.
    """

    is_leaving: bool = False
    offers: tuple[Offer, ...] = ()
    ready: tuple[int, ...] = ()
    moments: tuple[Moment, ...] = ()
    commands: str = ""
    events: str = ""
    peer: str = ""
    release: str = ""
    pending: int = 0
    below: tuple[tuple[str, int], ...] = ()


class ServerRow(Struct, frozen=True, array_like=True, gc=False):
    """A server: one run of a process, by its incarnation.

    `joined` rises with each server that joins. `clock_ns` is PostgreSQL's clock at the last beat, and `formats` are the
    forms of entries that it can read.
    """

    incarnation: str
    joined: int
    name: str = ""
    beat: int = 0
    is_dead: bool = False
    clock_ns: int = 0
    formats: tuple[int, ...] = ()
    told: Told = Told()


class ShardRow(Struct, frozen=True, array_like=True, gc=False):
    """A shard: its epoch, its owner, where its log ends, and the tie that the last taking or giving has written."""

    number: int
    epoch: int
    owner: str | None
    last_place: int
    tie: Tie | None = None


class View(Struct, frozen=True, gc=False):
    """All servers and shards at one moment."""

    servers: tuple[ServerRow, ...]
    shards: tuple[ShardRow, ...]


class Owner(NamedTuple):
    """The living server that serves a shard, by its incarnation, and the epoch in which it does."""

    incarnation: str
    epoch: int
