"""Runs this server as a member of the cluster: does what its `Member` wants done, and tells it what has come of that.

Beats, other changes, the ending of sessions that hold up either, and the loading of logs have a session each. The loop
has it step once a turn, and it never waits.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple, Protocol
from uuid import UUID

import zmq
from msgspec.structs import replace

from timer_protocol import __version__
from timer_protocol.durations import NS_PER_MS
from timer_protocol.messages import ServerAddresses
from timer_protocol.plurals import counted
from timer_server.cluster import actions as do
from timer_server.cluster.generation import Generation
from timer_server.cluster.holdings import Stage
from timer_server.cluster.member import LOCK_WAIT_NS, Member
from timer_server.cluster.outcomes import (
    Beaten,
    DeclaredDead,
    Departed,
    Failed,
    Forgotten,
    Given,
    Outcome,
    Raised,
    Taken,
)
from timer_server.logs import RepeatedFault, fields, log
from timer_server.loop.ownership import Ownership
from timer_server.loop.parts import Parts
from timer_server.loop.session_line import Came, SessionLine
from timer_server.loop.watched import Watched
from timer_server.store.base import ShardLost, StoreError
from timer_server.store.membership import Owner, ServerRow, Told, View
from timer_server.store.postgres.exchange import Steps
from timer_server.store.postgres.membership import Beats, Changes, Owned, Pulse, Rescue
from timer_server.store.postgres.own_session import Reply
from timer_server.store.postgres.schema import FORMATS
from timer_server.wire.advertised import Endpoints

_JOIN_AGAIN_NS = 500 * NS_PER_MS
"""How long a server waits after a join that has failed."""


class Sessions(NamedTuple):
    """The sessions of a member."""

    beats: Beats
    changes: Changes
    rescue: Rescue


class Followers(Protocol):
    """Who goes by which servers there are, and which of them serves which shard."""

    def follow(self, owners: Mapping[int, Owner], servers: Mapping[str, ServerRow]) -> None:
        """Takes in what the last beat has read: the shards that are served, and all living servers."""


class NoFollowers:
    """Nobody."""

    def follow(self, owners: Mapping[int, Owner], servers: Mapping[str, ServerRow]) -> None:
        """Does nothing."""


class Presence(NamedTuple):
    """Who this server is to the others: its store, its name, and where they and clients reach it."""

    store: str
    name: str
    endpoints: Endpoints


class Membership:
    """This server among those of its store."""

    def __init__(  # noqa: PLR0913 - its parts, each given once
        self,
        *,
        incarnation: UUID,
        lease_ms: int,
        sessions: Sessions,
        ownership: Ownership,
        parts: Parts,
        presence: Presence,
        new_incarnation: Callable[[], UUID],
        followers: Followers | None = None,
    ) -> None:
        self._now_ns = now_ns = parts.clock.now_ns
        self._lease_ns = lease_ms * NS_PER_MS
        self.member = Member(str(incarnation), self._lease_ns, now_ns())
        self._sessions = sessions
        self._beats, self._changes, self._rescue = (SessionLine(session, now_ns) for session in sessions)
        self._ownership = ownership
        self._servers, self._places, self._metrics = parts.servers, parts.places, parts.metrics
        self._peers = parts.peers
        self._followers = NoFollowers() if followers is None else followers
        self._presence = presence
        self._generation = Generation()
        self._new_incarnation = new_incarnation
        self._beat: do.Join | do.Beat | None = None
        self._change: do.Statement | None = None
        self._view: View | None = None
        """What the last beat has read."""
        self._is_leaving = False
        self._losses: list[ShardLost] = []
        self._look_ns = 0
        """When it is to be looked next what the committer waits for."""
        self._fault = RepeatedFault("the other servers are not reached over PostgreSQL")
        self._watched = Watched()
        self._introduce()

    # What the loop asks

    def tells(self, now_ns: int) -> bool:
        """Whether what was computed before this moment may be told: no other server can own what this one owned."""
        return self.member.lease.holds(now_ns)

    def wall_ahead_ns(self) -> int:
        """By how much PostgreSQL's clock is ahead of the server's, as the beats have read it."""
        return self.member.wall.ahead_ns or 0

    @property
    def is_settled(self) -> bool:
        """Whether all that this server owns by what it has read is served."""
        return self._view is not None and self._change is None and not self._ownership.loading

    def waits_for(self) -> str:
        """What is missing until that is so, and what has failed where something has."""
        loading = self._ownership.loading
        if self._view is None:
            what, line = "PostgreSQL has acknowledged no beat of this server", self._beats
        elif self._change is not None:
            what, line = "PostgreSQL has acknowledged no change of owners", self._changes
        else:
            what, line = f"{counted(len(loading), 'log')} of its shards still to be read", loading.line
        return what if line.last_fault is None else f"{what} ({line.last_fault})"

    def leave(self, now_ns: int) -> None:
        """Gives all shards to others from now on."""
        self._is_leaving = True
        self.member.leave(now_ns)

    @property
    def has_left(self) -> bool:
        """Whether it has given all and owns nothing any more."""
        return self.member.is_over

    def next_due_ns(self) -> int | None:
        """When there is something to do although no socket wakes up: 0 is now, None is never."""
        moments = [line.next_due_ns() for line in (self._beats, self._changes, self._rescue)]
        moments += [self._ownership.loading.next_due_ns(), None if self.member.is_over else self.member.next_due_ns()]
        return min((due_ns for due_ns in moments if due_ns is not None), default=None)

    def register(self, poller: zmq.Poller) -> None:
        """Has a poller wake up when something has come."""
        self._watched.register(poller)

    def step(self, now_ns: int) -> list[ShardLost]:
        """Takes what has come, and does what is due. Returns shards that are this server's no longer, perhaps none:
        then it was declared dead, and nobody is to be told what is in flight.

        Raises `StoreError` where it cannot be a member as PostgreSQL or the store is.
        """
        if (came := self._beats.take(now_ns)) is not None:
            self._take_beat(came)
        if (came := self._changes.take(now_ns)) is not None:
            self._take_change(came)
        if (came := self._rescue.take(now_ns)) is not None and came.value:
            processes = ",".join(str(process) for process, is_ended in came.value if is_ended)
            log.warning("ended sessions of PostgreSQL that others waited for", extra=fields(processes=processes))
        for outcome in self._ownership.committer.take_outcomes():
            if isinstance(outcome, Given):
                self._ownership.given(outcome.number)
            elif isinstance(outcome, Raised):
                self._ownership.raised(*outcome)
            self._observe(outcome, now_ns)
        if (loaded := self._ownership.loading.step(now_ns)) is not None:
            self._observe(loaded, now_ns)
        self._run(self.member.step(self._now_ns()))
        self._free_committer(now_ns)
        lines = (self._beats, self._changes, self._rescue, self._ownership.loading.line)
        self._watched.follow(line.line for line in lines)
        losses, self._losses = self._losses, []
        return losses

    # What has come

    def _observe(self, outcome: Outcome, sent_ns: int) -> None:
        self._run(self.member.observe(outcome, sent_ns, self._now_ns()))

    def _take_beat(self, came: Came) -> None:
        beat, self._beat = self._beat, None
        assert beat is not None
        received_ns = self._now_ns()
        if came.fault is not None or received_ns - came.sent_ns > self._lease_ns // 4:
            self._metrics.beats_late += 1
        if came.fault is not None:
            if came.is_final and isinstance(beat, do.Join):
                raise StoreError(came.fault)
            self._fault.warn(came.fault, received_ns)
            self._observe(Failed(beat), came.sent_ns)
            return
        pulse: Pulse = came.value
        self._observe(Beaten(*pulse), came.sent_ns)
        if pulse.joined is not None:
            self._view = pulse.view
            self._make_known(pulse.view, pulse.joined)

    def _take_change(self, came: Came) -> None:
        change, self._change = self._change, None
        assert change is not None
        if came.fault is not None:
            self._fault.warn(came.fault, self._now_ns())
            self._observe(Failed(change), came.sent_ns)
            return
        match change:
            case do.DeclareDead(rows):
                for row in rows:
                    if row.incarnation in came.value:
                        log.warning("a server is silent; others take its shards", extra=fields(server=row.name))
                outcome: Outcome = DeclaredDead(came.value)
            case do.Take():
                taken: list[Owned] = came.value
                self._count_takeovers(taken)
                outcome = Taken({number: (epoch, last_place) for number, epoch, last_place in taken})
            case do.Depart():
                outcome = Departed()
            case _:
                outcome = Forgotten()
        self._observe(outcome, came.sent_ns)

    def _count_takeovers(self, taken: Iterable[Owned]) -> None:
        assert self._view is not None
        owners = {row.number: row.owner for row in self._view.shards}
        of_others = [number for number, *_ in taken if owners[number] not in (None, self.member.incarnation)]
        self._metrics.takeovers += len(of_others)

    def _make_known(self, view: View, joined: int) -> None:
        """Tells who goes by it what the last beat has read."""
        mine = ServerRow(self.member.incarnation, joined, self._presence.name, told=self._tell(Told()))
        living = {row.incarnation: row for row in view.servers if not row.is_dead}
        living[mine.incarnation] = mine
        servers = self._servers
        told = [row for row in living.values() if row.told.commands]
        listed = tuple(ServerAddresses(row.name, row.told.commands, row.told.events) for row in told)
        last_join = max([joined, *(row.joined for row in view.servers)])
        self._generation.observe(last_join, len(living), has_company=len({*listed}) > 1)
        servers.listed, servers.version = tuple(dict.fromkeys(listed)), self._generation.number
        others = [row.told for row in living.values() if row is not mine]
        below: Counter[str] = Counter()
        for other in others:
            below.update(dict(other.below))
        self._places.hear(sum(other.pending for other in others), below)
        if self._peers is not None:
            self._peers.follow({incarnation: row.told.peer for incarnation, row in living.items()})
        self._followers.follow({**_owners(view, living), **self._own()}, living)

    def _own(self) -> dict[int, Owner]:
        holdings = self.member.holdings
        return {
            number: Owner(self.member.incarnation, holdings[number].epoch) for number in holdings.in_stage(Stage.SERVED)
        }

    # What is to be done

    def _run(self, actions: Iterable[do.Action]) -> None:
        for action in actions:
            self._do(action)

    def _do(self, action: do.Action) -> None:
        match action:
            case do.Join() | do.Beat():
                self._beat = action
                self._beats.ask(self._exchange(action))
            case do.DeclareDead() | do.Take() | do.Forget() | do.Depart():
                self._change = action
                self._changes.ask(self._exchange(action))
            case do.EndBlockers(of_beat):
                self._end_blockers((self._beats if of_beat else self._changes).session.backend)
            case do.BeginAnew():
                self._begin_anew()
            case _:
                self._do_with_shard(action)

    def _do_with_shard(self, action: do.ReadAhead | do.Load | do.Serve | do.Refuse | do.Give | do.Drop) -> None:
        owned = self._ownership
        match action:
            case do.ReadAhead(number):
                owned.loading.read_ahead(number)
            case do.Load(number, epoch):
                owned.loading.begin(number, epoch)
            case do.Serve(number, epoch, ahead_ns):
                owned.serve(number, epoch, ahead_ns, self._now_ns())
                if not owned.loading:
                    log.info("shards served", extra=fields(count=owned.served_count))
            case do.Refuse():
                owned.refuse(*action)
            case do.Give(number, _, to):
                owned.give(number, to, self._now_ns)
            case do.Drop(number):
                if (loss := owned.drop(number)) is not None:
                    self._losses.append(loss)

    def _exchange(self, statement: do.Statement) -> Callable[[], Steps[Reply[Any]]]:
        """What asks PostgreSQL for a statement."""
        beats, changes, _ = self._sessions
        me = self.member.incarnation
        match statement:
            case do.Join():
                return lambda: beats.joining(me, self._presence.name, FORMATS, self._tell(Told()))
            case do.Beat(told):
                return lambda: beats.beating(me, self._tell(told))
            case do.DeclareDead(rows):
                return lambda: changes.declaring_dead(rows)
            case do.Take(claims):
                return lambda: changes.claiming(me, self._moments(claims))
            case do.Depart():
                return lambda: changes.departing(me)
            case _:
                return changes.forgetting

    def _tell(self, told: Told) -> Told:
        """What is told with a beat, with what others want to know besides."""
        commands, events, peer = self._presence.endpoints
        places = self._places
        pending = places.pending + places.kept
        where = {"commands": commands, "events": events, "peer": peer, "release": __version__}
        return replace(told, **where, pending=pending, below=places.told())

    def _moments(self, claims: Iterable[do.Claim]) -> list[tuple[int, int, int]]:
        now_ns = self._now_ns()
        return [(number, epoch, now_ns + ahead_ns) for number, epoch, ahead_ns in claims]

    def _end_blockers(self, backend: int | None) -> None:
        if backend is not None and not self._rescue.is_busy:
            self._rescue.ask(lambda: self._sessions.rescue.ending_blockers(backend))

    def _free_committer(self, now_ns: int) -> None:
        """Ends the sessions for which the committer has waited too long, if it waits for a lock."""
        committer = self._ownership.committer
        since_ns = committer.waits_since_ns()
        if since_ns is not None and now_ns - since_ns >= LOCK_WAIT_NS and now_ns >= self._look_ns:
            self._look_ns = now_ns + LOCK_WAIT_NS
            self._end_blockers(committer.backend)

    def _begin_anew(self) -> None:
        """Goes on under another incarnation, and with no shards."""
        has_joined = self._view is not None
        incarnation, now_ns = self._new_incarnation(), self._now_ns()
        if has_joined:
            log.warning("this server was declared dead; it begins anew", extra=fields(incarnation=str(incarnation)))
            self._losses.append(self._ownership.drop_all("this server was declared dead"))
        self._ownership.committer.begin_anew(incarnation)
        self._changes.abandon()
        self._change = None
        self.member = Member(str(incarnation), self._lease_ns, now_ns + (0 if has_joined else _JOIN_AGAIN_NS))
        if self._is_leaving:
            self.member.leave(now_ns)
        self._view = None
        self._introduce()

    def _introduce(self) -> None:
        """Says who this server is, to those that connect and to whom it connects."""
        if self._peers is not None:
            self._peers.introduce(self._presence.store, self.member.incarnation, self._presence.name)


def _owners(view: View, living: Mapping[str, ServerRow]) -> dict[int, Owner]:
    """The shards that living servers serve: these tell what time it is there."""
    served = {(row.incarnation, moment.number, moment.epoch) for row in living.values() for moment in row.told.moments}
    return {
        row.number: Owner(row.owner, row.epoch)
        for row in view.shards
        if row.owner is not None and (row.owner, row.number, row.epoch) in served
    }
