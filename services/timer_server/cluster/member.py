"""A server as a member of the cluster: from what has come of its statements to what it does next."""

from timer_server.cluster.actions import (
    Action,
    Beat,
    BeginAnew,
    Claim,
    DeclareDead,
    Depart,
    Drop,
    EndBlockers,
    Forget,
    Join,
    Load,
    Refuse,
    Serve,
    Statement,
    Take,
)
from timer_server.cluster.handing import Handing
from timer_server.cluster.holdings import Holding, Holdings, Stage
from timer_server.cluster.lease import Lease
from timer_server.cluster.outcomes import (
    Beaten,
    DeclaredDead,
    Departed,
    Failed,
    Forgotten,
    Given,
    Loaded,
    Lost,
    Outcome,
    Raised,
    ReadUp,
    Taken,
)
from timer_server.cluster.outlook import Outlook
from timer_server.cluster.silence import Silence
from timer_server.cluster.takeover import Takeover
from timer_server.cluster.timelines import Timelines
from timer_server.cluster.unserved import Unserved
from timer_server.cluster.wall import WallClock
from timer_server.store.membership import ServerRow, Told

BEAT_NS = 500_000_000
"""How often a server beats; four times in a lease that is short."""

QUICK_BEAT_NS = 100_000_000
"""The same while something is handed over, or a shard has no server, so that what waits for that waits for less."""

LOCK_WAIT_NS = 500_000_000
"""How long a statement waits for the lock of a row before the session that holds it is ended."""

_RETRY_NS = 100_000_000


class Member:
    """Decides by what was read and when: `step` and `observe` return what is to be done, in order.

    All moments are readings of this server's own boot clock. Two statements may be under way, a beat and another. One
    whose outcome is unknown is told as `Failed`; what has come of it shows in the next view, since every change is made
    by comparing what is there.
    """

    def __init__(self, incarnation: str, lease_ns: int, now_ns: int) -> None:
        self.incarnation = incarnation
        self.lease = Lease(lease_ns)
        self.wall = WallClock()
        self.is_over = False
        """Whether it has left or was declared dead: it asks for nothing any more."""
        self.holdings = Holdings()
        self._beat_ns = min(BEAT_NS, lease_ns // 4)
        self._silence = Silence(lease_ns)
        self._timelines = Timelines()
        self._takeover = Takeover(lease_ns, self._timelines)
        self._handing = Handing(self.holdings, lease_ns)
        self._unserved = Unserved(lease_ns)
        self._joined: int | None = None
        self._outlook: Outlook | None = None
        self._silent: tuple[ServerRow, ...] = ()
        self._beat_due_ns = now_ns
        self._beat: Statement | None = None
        self._change: Statement | None = None
        self._look_ns = {True: now_ns, False: now_ns}
        """When it is to be looked what a beat waits for (True), or the other statement."""

    def serves(self, number: int, now_ns: int) -> bool:
        """Whether an answer about a shard that was computed before this moment may be sent: it was current then."""
        holding = self.holdings.get(number)
        return holding is not None and holding.stage is Stage.SERVED and self.lease.holds(now_ns)

    def leave(self, now_ns: int) -> None:
        """Gives all shards away from now on, and is over then."""
        if self._handing.leaving_since_ns is None:
            self._handing.leaving_since_ns = now_ns
            self._beat_due_ns = now_ns

    def next_due_ns(self) -> int:
        """When `step` has something to do, if nothing is observed before."""
        due_ns = self._beat_due_ns if self._beat is None else self._look_ns[True]
        return due_ns if self._change is None else min(due_ns, self._look_ns[False])

    def step(self, now_ns: int) -> list[Action]:
        """What is due by now."""
        if self.is_over:
            return []
        actions: list[Action] = []
        for of_beat, statement in ((True, self._beat), (False, self._change)):
            if statement is not None and now_ns >= self._look_ns[of_beat]:
                self._look_ns[of_beat] = now_ns + LOCK_WAIT_NS
                actions.append(EndBlockers(of_beat))
        if self._beat is None and now_ns >= self._beat_due_ns:
            self._beat = Join() if self._joined is None else Beat(self._told(now_ns))
            self._look_ns[True] = now_ns + LOCK_WAIT_NS
            actions.append(self._beat)
        return actions

    def observe(self, outcome: Outcome, sent_ns: int, received_ns: int) -> list[Action]:
        """Takes in an outcome: when its statement was sent, or the work begun, and when it was known here."""
        if self.is_over:
            return []
        match outcome:
            case Beaten():
                return self._beaten(outcome, sent_ns, received_ns)
            case Failed(statement):
                return self._failed(statement, received_ns)
            case DeclaredDead() | Taken() | Forgotten() | Departed():
                return self._changed(outcome, received_ns)
        return self._observe_shard(outcome, received_ns)

    def _observe_shard(self, outcome: ReadUp | Loaded | Given | Raised | Lost, now_ns: int) -> list[Action]:
        match outcome:
            case ReadUp(number):
                self._handing.note_read_up(number)
                self._beat_due_ns = now_ns
            case Loaded():
                return self._loaded(outcome, now_ns)
            case Raised(number, epoch):
                self._raised(number, epoch)
            case Given(number) | Lost(number):
                return self._let_go(number)
        return []

    def _told(self, now_ns: int) -> Told:
        handing = self._handing
        is_leaving = handing.leaving_since_ns is not None
        return Told(is_leaving, handing.offers, handing.ready, self.holdings.moments(now_ns))

    def _begin_anew(self) -> list[Action]:
        """This server was declared dead, or nobody knows whether it has joined."""
        self._end()
        return [BeginAnew()]

    def _end(self) -> None:
        self.is_over = True
        self.holdings.clear()

    def _beaten(self, beaten: Beaten, sent_ns: int, received_ns: int) -> list[Action]:
        joined, clock_ns, view = beaten
        if joined is None:
            return self._begin_anew()
        self._beat, self._joined = None, joined
        self.lease.acknowledge(sent_ns)
        self.wall.observe(clock_ns, sent_ns, received_ns)
        self._timelines.observe(view, clock_ns, received_ns)
        is_leaving = self._handing.leaving_since_ns is not None
        mine = ServerRow(self.incarnation, joined, told=Told(is_leaving))
        self._outlook = outlook = Outlook(view, mine)
        self._takeover.observe(outlook)
        self._unserved.observe(outlook, received_ns)
        self._silent = tuple(self._silence.observe(outlook.others(), sent_ns, received_ns))
        self._beat_due_ns = max(sent_ns + self._beat_interval_ns(received_ns), received_ns)
        return [*self._drop_lost(outlook, sent_ns), *self._plan(outlook, received_ns)]

    def _beat_interval_ns(self, now_ns: int) -> int:
        is_quick = self._handing.is_under_way() or self._unserved.is_looked_for(now_ns)
        return min(QUICK_BEAT_NS, self._beat_ns) if is_quick else self._beat_ns

    def _drop_lost(self, outlook: Outlook, sent_ns: int) -> list[Action]:
        """Lets go of what a query that began after it was gained shows as another's. Of what is being given the commit
        tells what has come, perhaps later than a query shows it."""
        lost = [
            number
            for number, holding in self.holdings.items()
            if holding.stage is not Stage.GIVING
            and sent_ns > holding.gained_ns
            and outlook.shards[number].owner != self.incarnation
        ]
        return [action for number in lost for action in self._let_go(number)]

    def _let_go(self, number: int) -> list[Action]:
        self._handing.forget(number)
        return [] if self.holdings.pop(number, None) is None else [Drop(number)]

    def _plan(self, outlook: Outlook, now_ns: int) -> list[Action]:
        """What to do by the last view."""
        actions = self._handing.step(outlook, now_ns)
        if self._change is None and (change := self._next_change(outlook, now_ns)) is not None:
            self._change = change
            self._look_ns[False] = now_ns + LOCK_WAIT_NS
            actions.append(change)
        if self._handing.is_under_way():
            self._beat_due_ns = min(self._beat_due_ns, now_ns + self._beat_interval_ns(now_ns))
        silent_ns = self._silence.next_due_ns()
        if silent_ns is not None and silent_ns > now_ns:
            self._beat_due_ns = min(self._beat_due_ns, silent_ns)
        return actions

    def _next_change(self, outlook: Outlook, now_ns: int) -> Statement | None:
        if self._silent:
            silent, self._silent = self._silent, ()
            return DeclareDead(silent)
        if rows := self._takeover.mine(outlook, self.holdings, now_ns):
            return Take(tuple(Claim(row.number, row.epoch, self._ahead_ns(row.number)) for row in rows))
        if self._handing.leaving_since_ns is not None:
            serving = self.holdings.in_stage(Stage.SERVED) or self.holdings.in_stage(Stage.GIVING)
            return None if serving else Depart()
        return Forget() if outlook.unused_dead() and outlook.oldest() == self.incarnation else None

    def _ahead_ns(self, number: int) -> int:
        """By how much a shard's timeline is ahead of the boot clock; a new one begins at PostgreSQL's clock."""
        ahead_ns = self._timelines.ahead_ns(number)
        if ahead_ns is None:
            ahead_ns = self.wall.ahead_ns
        assert ahead_ns is not None
        return ahead_ns

    def _failed(self, statement: Statement, now_ns: int) -> list[Action]:
        if isinstance(statement, Join):
            return self._begin_anew()
        if isinstance(statement, Beat):
            self._silence.begin_anew()
            self._silent = ()
            self._beat, self._beat_due_ns = None, now_ns + _RETRY_NS
        else:
            self._change = None
        return []

    def _changed(self, outcome: DeclaredDead | Taken | Forgotten | Departed, now_ns: int) -> list[Action]:
        change, self._change = self._change, None
        outlook = self._outlook
        assert outlook is not None
        if isinstance(outcome, Departed):
            self._end()
        elif isinstance(outcome, DeclaredDead):
            outlook.bury(outcome.incarnations)
            self._beat_due_ns = now_ns
            return self._plan(outlook, now_ns)
        elif isinstance(outcome, Taken):
            assert isinstance(change, Take)
            return [action for claim in change.claims for action in self._claimed(claim, outcome, outlook, now_ns)]
        return []

    def _claimed(self, claim: Claim, taken: Taken, outlook: Outlook, now_ns: int) -> list[Action]:
        """What to do with a shard that was to be taken."""
        number = claim.number
        if number not in taken.shards:  # somebody else was quicker, and the next view tells who
            self._beat_due_ns = now_ns
            return []
        epoch, last_place = taken.shards[number]
        outlook.pass_on(number, self.incarnation)
        self._handing.forget(number)
        self.holdings[number] = Holding(number, epoch, last_place, claim.ahead_ns, now_ns)
        return [Load(number, epoch)]

    def _loaded(self, loaded: Loaded, now_ns: int) -> list[Action]:
        holding = self.holdings.get(loaded.number)
        if holding is None or (holding.epoch, holding.stage) != (loaded.epoch, Stage.LOADING):
            return []
        if loaded.last_place != holding.last_place:
            holding.stage = Stage.REFUSED
            return [Refuse(loaded.number, holding.last_place, loaded.last_place)]
        holding.ahead_ns = max(holding.ahead_ns, loaded.last_at_ns - now_ns)
        holding.stage = Stage.SERVED
        self._beat_due_ns = now_ns  # the others send on what is for this shard once they are told
        return [Serve(loaded.number, holding.epoch, holding.ahead_ns)]

    def _raised(self, number: int, epoch: int) -> None:
        """The owner itself has raised an epoch. What was to be given is served on, and offered again."""
        holding = self.holdings.get(number)
        if holding is not None:
            holding.epoch = epoch
            if holding.stage is Stage.GIVING:
                holding.stage = Stage.SERVED
                self._handing.forget(number)
