"""A server told in the plainest way: it does what its member wants over a naive PostgreSQL, and writes to shards."""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any

from cluster.naive_postgres import MS, Postgres, Query
from cluster.world import World
from timer_server.cluster import actions as do
from timer_server.cluster import outcomes as came
from timer_server.cluster.holdings import Stage
from timer_server.cluster.member import Member
from timer_server.store.membership import ServerRow, Tie, Told, View

UNANSWERED_NS = 5_000 * MS
"""How long a server waits for an answer before it ends the connection."""

WRITE_EVERY_NS = 370 * MS


@dataclass
class Trouble:
    """What happens to the statements of a server until a moment: of all its sessions, or of some."""

    kind: str = ""
    sessions: tuple[str, ...] = ()
    chance: float = 0
    until_ns: int = 0


class Server:
    """A process whose clock is too fast by `rate_ppm`. After each outcome `check` is called with it."""

    def __init__(
        self, name: str, world: World, postgres: Postgres, chance: Random, lease_ns: int, rate_ppm: int
    ) -> None:
        self.name = name
        self.check: Callable[[Server], None] = lambda _: None
        self.world, self.postgres, self.chance = world, postgres, chance
        self.lease_ns, self.rate_ppm = lease_ns, rate_ppm
        self.offset_ns = chance.randrange(10**15)
        self.began_ns = world.now_ns
        self.frozen_ns = 0
        self.frozen_at_ns: int | None = None
        """Since when it and its clock stand still."""
        self.thawed_ns = 0
        self.is_stale = False
        """Whether it may believe in a lease that has run out, as its clock stood still."""
        self.is_stopped = False
        self.is_killed = False
        self.is_staying = True
        self.trouble = Trouble()
        self.reads_nothing_until_ns = 0
        """What it begins to read ahead before is never read."""
        self.beat_sent_ns = 0
        """When the last beat was sent whose answer has come: true time."""
        self.runs = 0
        self.inbox: list[Callable[[], None]] = []
        self.writing: dict[int, int] = {}
        """The shards with a write or a raise under way, and in which holding that began."""
        self.giving: dict[int, do.Give] = {}
        self.acknowledged: dict[int, int] = {}
        self.wake_ns = 0
        self._begin()
        self._write_on()

    def _begin(self) -> None:
        self.runs += 1
        self.incarnation = f"{self.name}.{self.runs}"
        self.queries: dict[str, Query] = {}
        self.writing, self.giving = {}, {}
        self.member = Member(self.incarnation, self.lease_ns, self.clock_ns())
        if not self.is_staying:
            self.member.leave(self.clock_ns())
        self._pump([])

    @property
    def is_running(self) -> bool:
        return not self.is_killed and not self.member.is_over

    def clock_ns(self) -> int:
        now_ns = self.world.now_ns if self.frozen_at_ns is None else self.frozen_at_ns
        passed_ns = now_ns - self.began_ns - self.frozen_ns
        return self.offset_ns + passed_ns + passed_ns * self.rate_ppm // 1_000_000

    def serves(self, number: int) -> bool:
        return not self.is_killed and self.member.serves(number, self.clock_ns())

    # What may happen to it.

    def kill(self) -> None:
        self.is_killed = True

    def stop(self) -> None:
        self.is_stopped = True

    def freeze(self) -> None:
        if self.frozen_at_ns is None:
            self.is_stopped, self.is_stale, self.frozen_at_ns = True, True, self.world.now_ns

    def go_on(self) -> None:
        if self.frozen_at_ns is not None:
            self.frozen_ns += self.world.now_ns - self.frozen_at_ns
            self.frozen_at_ns = None
            self.thawed_ns = self.clock_ns()
        self.is_stopped = False
        inbox, self.inbox = self.inbox, []
        for happen in inbox:
            self._turn(happen)
        self._turn(lambda: self._pump([]))

    def _turn(self, happen: Callable[[], None]) -> None:
        """Has something happen in the process: later if it does not run just now."""
        if self.is_killed:
            return
        if self.is_stopped:
            self.inbox.append(happen)
        else:
            happen()

    # What its member wants.

    def leave(self) -> None:
        self.is_staying = False
        self._turn(self._leave)

    def _leave(self) -> None:
        self.member.leave(self.clock_ns())
        self._pump([])

    def _pump(self, actions: list[do.Action]) -> None:
        """Runs actions and those that are due, and wakes up for the next."""
        member, began = self.member, self.runs
        for action in actions:
            self._run(action)
        if began != self.runs:
            return
        for action in member.step(self.clock_ns()):
            self._run(action)
        if not member.is_over:
            due_ns = max(member.next_due_ns() - self.clock_ns(), 0)
            wake_ns = self.wake_ns = self.world.now_ns + due_ns + due_ns // 1_000 + 1
            self.world.at(wake_ns, lambda: self._wake(wake_ns))

    def _wake(self, wake_ns: int) -> None:
        if wake_ns == self.wake_ns:
            self._turn(lambda: self._pump([]))

    def _observe(self, outcome: came.Outcome, sent_ns: int) -> None:
        if isinstance(outcome, came.Beaten) and sent_ns > self.thawed_ns:
            self.is_stale = False
        self._pump(self.member.observe(outcome, sent_ns, self.clock_ns()))
        self.check(self)

    def _run(self, action: do.Action) -> None:
        match action:
            case do.EndBlockers(of_beat):
                query = self.queries["beat" if of_beat else "change"]
                self.world.after(self._delay_ns(), lambda: self.postgres.end_blockers(query))
            case do.ReadAhead(number) if self.world.now_ns >= self.reads_nothing_until_ns:
                self.world.after(self._reading_ns(), lambda: self._hear(came.ReadUp(number)))
            case do.Load():
                self._load(action)
            case do.Give(number):
                self.giving[number] = action
                self._write(number)
            case do.ReadAhead():
                pass
            case do.Drop(number):
                self.giving.pop(number, None)
            case do.BeginAnew():
                self._begin()
            case do.Serve() | do.Refuse():
                assert isinstance(action, do.Serve), "a log that is whole was refused"
            case _:
                self._execute(action)

    def _execute(self, action: do.Statement) -> None:
        me, sent_ns = self.incarnation, self.clock_ns()  # it may have another incarnation when the statement ends
        mine = [("server", me)]
        match action:
            case do.Join():
                self._send("beat", action, mine, lambda pg, view: self._join(pg, view, me))
            case do.Beat(told):
                self._send("beat", action, mine, lambda pg, view: self._beat(pg, view, me, told))
            case do.DeclareDead(rows):
                self._check_silence(rows)
                locks = sorted(("server", row.incarnation) for row in rows)
                self._send("change", action, locks, lambda pg, _: self._declare(pg, action))
            case do.Take(claims):
                locks = [("shard", claim.number) for claim in sorted(claims)]
                self._send("change", action, locks, lambda pg, _: self._take(pg, action, me, sent_ns))
            case do.Forget():
                self._send("change", action, [], self._forget)
            case do.Depart():
                self._send("change", action, mine, lambda pg, _: self._depart(pg, me))

    def _hear(self, outcome: came.Outcome) -> None:
        member = self.member
        self._turn(lambda: self._observe(outcome, self.clock_ns()) if member is self.member else None)

    def _load(self, load: do.Load) -> None:
        """Reads a log at some moment after now."""

        def read() -> None:
            shard = self.postgres.shards[load.number]
            outcome: came.Loaded | came.Lost = came.Lost(load.number)
            if shard.row.epoch == load.epoch:
                outcome = came.Loaded(load.number, load.epoch, shard.entries, shard.last_at_ns)
            self.world.after(self._delay_ns(), lambda: self._hear(outcome))

        self.world.after(self._reading_ns(), read)

    def _reading_ns(self) -> int:
        return self.chance.choice((1, 5, 100)) * MS

    # Its statements.

    def _delay_ns(self, session: str = "") -> int:
        if self._fate(session) == "slow":
            return self.chance.randrange(2_500) * MS
        return self.chance.randrange(1, 4) * MS // 2

    def _fate(self, session: str) -> str:
        trouble = self.trouble
        if self.world.now_ns >= trouble.until_ns or not session.startswith(trouble.sessions):
            return ""
        return trouble.kind if self.chance.random() < trouble.chance else ""

    def _send(
        self, session: str, action: do.Statement, locks: list[Any], apply: Callable[[Postgres, View], Any]
    ) -> None:
        self._ask(session, locks, apply, lambda outcome: came.Failed(action) if outcome is None else outcome)

    def _ask(
        self,
        session: str,
        locks: list[Any],
        apply: Callable[[Postgres, View], Any],
        heard: Callable[[Any], came.Outcome | None],
    ) -> None:
        """Sends a statement. Its answer may be lost, or it itself; a session may hang with its locks, or be ended."""
        member, sent_ns, fate = self.member, self.clock_ns(), self._fate(session)
        true_ns = self.world.now_ns
        state = {"told": False}

        def tell(answer: Any) -> None:
            def take_in() -> None:
                if not state["told"] and member is self.member:
                    state["told"] = True
                    if session == "beat" and answer is not None:
                        self.beat_sent_ns = true_ns
                    outcome = heard(answer)
                    if outcome is not None:
                        self._observe(outcome, sent_ns)

            self._turn(take_in)

        def answered(answer: Any) -> None:
            if fate != "unheard":
                self.world.after(self._delay_ns(session), lambda: tell(answer))

        query = Query(locks, apply, answered, hangs=fate == "hang")
        self.queries[session] = query
        if fate != "unsent":
            self.world.after(self._delay_ns(session), lambda: self.postgres.begin(query))
        self.world.after(
            self.chance.randrange(20, 300) * MS if fate in {"unheard", "unsent"} else UNANSWERED_NS, lambda: tell(None)
        )

    def _join(self, pg: Postgres, view: View, me: str) -> came.Beaten:
        assert me not in pg.servers, "an incarnation joins once"
        pg.joined += 1
        pg.servers[me] = ServerRow(me, pg.joined, self.name, clock_ns=pg.clock_ns())
        pg.beaten_ns[me, 0] = self.world.now_ns
        return came.Beaten(pg.joined, pg.clock_ns(), view)

    def _beat(self, pg: Postgres, view: View, me: str, told: Told) -> came.Beaten:
        row = pg.servers.get(me)
        if row is None or row.is_dead:
            return came.Beaten(None, pg.clock_ns(), view)
        pg.change_server(me, beat=row.beat + 1, clock_ns=pg.clock_ns(), told=told)
        pg.beaten_ns[me, row.beat + 1] = self.world.now_ns
        return came.Beaten(row.joined, pg.clock_ns(), view)

    def _check_silence(self, rows: tuple[ServerRow, ...]) -> None:
        """The silence of others is true: what was read last was asked a lease after the beat had been committed."""
        for row in rows:
            silent_ns = self.beat_sent_ns - self.postgres.beaten_ns[row.incarnation, row.beat]
            assert silent_ns * (1_000_000 + abs(self.rate_ppm)) >= self.lease_ns * 1_000_000, "found silent too early"

    def _declare(self, pg: Postgres, action: do.DeclareDead) -> came.DeclaredDead:
        dead = set()
        for seen in action.servers:
            row = pg.servers.get(seen.incarnation)
            if row is not None and row.beat == seen.beat and not row.is_dead:
                pg.change_server(row.incarnation, is_dead=True)
                dead.add(row.incarnation)
        return came.DeclaredDead(frozenset(dead))

    def _take(self, pg: Postgres, action: do.Take, me: str, sent_ns: int) -> came.Taken:
        taken = {}
        for claim in action.claims:
            row = pg.shards[claim.number].row
            if row.epoch == claim.epoch:
                tie = Tie(claim.number, row.epoch + 1, sent_ns + claim.ahead_ns, pg.clock_ns())
                pg.change_shard(claim.number, epoch=row.epoch + 1, owner=me, tie=tie)
                taken[claim.number] = (row.epoch + 1, pg.shards[claim.number].entries)
        return came.Taken(taken)

    def _forget(self, pg: Postgres, view: View) -> came.Forgotten:
        owners = {shard.row.owner for shard in pg.shards.values()}
        for row in view.servers:
            if row.is_dead and row.incarnation not in owners:
                pg.servers.pop(row.incarnation, None)
        return came.Forgotten()

    def _depart(self, pg: Postgres, me: str) -> came.Departed:
        if me in pg.servers:
            pg.change_server(me, is_dead=True)
        return came.Departed()

    # Its writes: one under way in each shard, behind the fence.

    def _write_on(self) -> None:
        def write() -> None:
            for number, holding in self.member.holdings.items():
                if holding.stage is Stage.SERVED:
                    self._write(number)

        self._turn(write)
        if self.is_running:
            self.world.after(WRITE_EVERY_NS, self._write_on)

    def _write(self, number: int) -> None:
        """Writes an event, or the commit that gives the shard away."""
        holding = self.member.holdings.get(number)
        if number in self.writing or holding is None:
            return
        give = self.giving.get(number)
        me, epoch, last_place = self.incarnation, holding.epoch, holding.last_place
        timeline_ns = self.clock_ns() + holding.ahead_ns
        self.writing[number] = epoch

        def apply(pg: Postgres, _: View) -> bool:
            shard = pg.shards[number]
            if (shard.row.epoch, shard.row.owner, shard.entries) != (epoch, me, last_place):
                return False
            assert timeline_ns >= shard.last_at_ns, "time went back behind an event"
            if give is not None:
                tie = Tie(number, epoch, timeline_ns, pg.clock_ns())
                pg.change_shard(number, epoch=epoch + 1, owner=give.to, tie=tie)
            else:
                pg.change_shard(number, entries=1, at_ns=timeline_ns, last_place=shard.entries + 1)
            return True

        def heard(done: bool | None) -> came.Outcome | None:
            self.writing.pop(number, None)
            if done is None:
                self._raise(number, epoch)
                return None
            if not done:
                return came.Lost(number)
            if give is not None:
                self.giving.pop(number, None)
                return came.Given(number)
            holding.last_place += 1
            self.acknowledged[number] = self.acknowledged.get(number, 0) + 1
            if number in self.giving:
                self._write(number)
            return None

        self._ask(f"write {number}", [("shard", number)], apply, heard)

    def _raise(self, number: int, epoch: int) -> None:
        """After a lost connection: finds out by the place what became of a write."""
        self.writing[number] = epoch
        me, query = self.incarnation, self.queries.get(f"write {number}")

        def apply(pg: Postgres, _: View) -> tuple[int, int] | bool:
            shard = pg.shards[number]
            if (shard.row.epoch, shard.row.owner) != (epoch, me):
                return False
            pg.change_shard(number, epoch=epoch + 1)
            return epoch + 1, shard.entries

        def heard(found: tuple[int, int] | bool | None) -> came.Outcome | None:
            self.writing.pop(number, None)
            if found is None:
                self._raise(number, epoch)
                return None
            if found is False or found is True:
                return came.Lost(number)
            self.giving.pop(number, None)
            holding = self.member.holdings.get(number)
            if holding is not None and holding.epoch == epoch:
                holding.last_place = found[1]
            return came.Raised(number, found[0])

        if query is not None:  # a server that finds its own old session in the way ends it
            self.world.after(LOCK_NS, lambda: self.postgres.end(query))
        self._ask(f"write {number}", [("shard", number)], apply, heard)
        raising = self.queries[f"write {number}"]  # also a claim that came too late may hold the row for ever
        self.world.after(LOCK_NS, lambda: self.postgres.end_blockers(raising))


LOCK_NS = 500 * MS
