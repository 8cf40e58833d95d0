"""What is on its way to PostgreSQL: gathers what turns write, and decides what to send and what is durable.

It is told what has come of each statement, and neither sends nor waits itself. While one is under way, what turns write
gathers, and is the next one. After one of which nothing is known, the epochs of all shards are raised: from then on it
can do nothing any more, and the states that come with the new epochs tell what it has done.
"""

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
from typing import NamedTuple, Protocol

from msgspec import Struct

from timer_server.store.postgres.commit import ShardCommit, Write
from timer_server.store.postgres.membership import Handover
from timer_server.store.state import LogState

_TURNS_AT_ONCE = 1_024
"""Turns that one commit holds, more than are ever in flight. After one that has failed it is a single one, and twice as
many each time: what is too large for one statement, or for the time that it has, goes in parts."""


class ShardLog(Protocol):
    """What it needs of the store of a shard. `epoch` and `state` are what its row is known to hold, durably."""

    number: int
    epoch: int
    state: LogState

    def compose(self, writes: Sequence[Write]) -> ShardCommit:
        """The commit of what some turns write. Raises `StoreError`."""

    def landed(self, commit: ShardCommit) -> None:
        """Notes that a commit is durable."""


class Raise(NamedTuple):
    """Epochs to raise: the number of each shard, and the epoch that it is to have, which was never asked for before."""

    shards: list[tuple[int, int]]


class Commit(NamedTuple):
    """What to write in some shards. With `is_renaming` it is their new log ids alone."""

    commits: list[ShardCommit]
    is_renaming: bool = False


class Give(NamedTuple):
    """Shards to give away, of which nothing is left to write."""

    shards: list[Handover]


class Loss(NamedTuple):
    """A shard that is served no longer: why, and how many of its acknowledged events PostgreSQL has lost."""

    number: int
    reason: str
    events: int = 0


class _Receiver(NamedTuple):
    """Who is to have a shard, None for nobody, and what tells the time in it."""

    to: str | None
    timeline_ns: Callable[[], int]


class _Submission(Struct):
    """What a turn writes, by shard, as far as it is not known to be durable."""

    ticket: int
    writes: dict[int, Write]


class Pipeline:
    """All shards of a server, which come and go. Tickets are numbers that rise by one."""

    def __init__(self, logs: Iterable[ShardLog], new_log_id: Callable[[], str]) -> None:
        self._logs = {log.number: log for log in logs}
        self._new_log_id = new_log_id
        self._giving: dict[int, _Receiver] = {}
        """Shards to give away behind what is to be written in them."""
        self._handed: set[int] = set()
        """Those among them that the statement under way gives."""
        self._asked: dict[int, int] = {}
        """The highest epoch that was asked for, where it is not known whether that was done, or will be."""
        self._raising: set[int] = set()
        """The shards whose epochs the statement under way raises."""
        self._unsettled: deque[_Submission] = deque()
        self._sent = 0
        """How many of them, the oldest, the commit under way holds."""
        self._turns_at_once = _TURNS_AT_ONCE
        self._under_way: dict[int, ShardCommit] = {}
        self._fallen: dict[int, int] = {}
        """Shards that are to get a new log id, and how many acknowledged events PostgreSQL has lost of each."""
        self._is_in_doubt = False
        self._last = 0
        self.lost: list[Loss] = []
        """Shards that were lost and that nobody has taken note of yet, as with those that follow."""
        self.given: list[int] = []
        """Shards that were given away."""
        self.epochs: list[tuple[int, int]] = []
        """Shards whose epochs were raised, each with its epoch. They are served on, and given away no more."""

    @property
    def settled(self) -> int:
        """The ticket up to which all is durable, but for what was lost."""
        return self._unsettled[0].ticket - 1 if self._unsettled else self._last

    def add(self, log: ShardLog) -> None:
        """Takes up a shard."""
        self._logs[log.number] = log

    def remove(self, number: int) -> None:
        """Forgets a shard, and what is to be written in it."""
        if self._logs.pop(number, None) is not None:
            self._forget(number)
            self._settle()

    def give(self, number: int, to: str | None, timeline_ns: Callable[[], int]) -> None:
        """Gives a shard away, once all that was gathered for it is durable. Nothing more may be gathered for it.

        `timeline_ns` tells what time it is in it.
        """
        if number in self._logs:
            self._giving[number] = _Receiver(to, timeline_ns)

    def gather(self, ticket: int, writes: Mapping[int, Write]) -> None:
        """Takes in what a turn writes. What is of a lost shard is left out."""
        self._last = ticket
        self._unsettled.append(_Submission(ticket, {n: part for n, part in writes.items() if n in self._logs}))
        self._settle()

    def next(self) -> Raise | Commit | Give | None:
        """What to send now that nothing is under way; None for nothing. Raises `StoreError`."""
        if not self._logs:
            self._is_in_doubt = False
        if self._is_in_doubt:
            for number, log in self._logs.items():
                self._asked[number] = max(self._asked.get(number, 0), log.epoch) + 1
            self._raising = set(self._logs)
            return Raise([(number, self._asked[number]) for number in self._logs])
        if self._giving and not self._fallen and (given := self._to_give()):
            self._handed = {handover.number for handover in given}
            return Give(given)
        if self._fallen:
            commits = [self._renaming(self._logs[number]) for number in self._fallen]
        else:
            writes: dict[int, list[Write]] = {}
            for submission in islice(self._unsettled, self._turns_at_once):
                for number, part in submission.writes.items():
                    writes.setdefault(number, []).append(part)
            commits = [self._logs[number].compose(parts) for number, parts in sorted(writes.items())]
            self._sent = min(len(self._unsettled), self._turns_at_once)
            self._turns_at_once = min(2 * self._turns_at_once, _TURNS_AT_ONCE)
        self._under_way = {commit.number: commit for commit in commits}
        return Commit(commits, is_renaming=bool(self._fallen)) if commits else None

    def committed(self, shards: Iterable[int]) -> None:
        """The commit under way is durable in these shards. It has written nothing in the others, which is in doubt."""
        for number in self._under_way.keys() & set(shards):  # some may have been removed meanwhile
            self._land(number)
        self._is_in_doubt = bool(self._under_way)
        self._settle()

    def handed(self, shards: Iterable[int]) -> None:
        """What is under way has given these shards away, durably. The others, which it was to give, are in doubt."""
        handed, self._handed = self._handed, set()
        for number in handed.intersection(shards):
            self._part_with(number)
        self._is_in_doubt = not handed.issubset(shards)

    def doubt(self) -> None:
        """Of what was under way it is not known whether it is durable."""
        self._is_in_doubt = True
        if self._sent:
            self._turns_at_once = 1

    def raised(self, found: Mapping[int, tuple[int, LogState]]) -> None:
        """Epochs were raised, durably: the epoch and the state of each shard that is still this server's."""
        raising, self._raising = self._raising, set()
        for number in sorted(raising):
            log = self._logs[number]
            if number not in found:
                if number in self._giving and number not in self._written():
                    self._part_with(number)
                else:
                    self._lose(Loss(number, f"another server has taken shard {number}"))
                continue
            self._giving.pop(number, None)
            del self._asked[number]
            log.epoch, state = found[number]
            self.epochs.append((number, log.epoch))
            if number in self._under_way and state == self._under_way[number].state:
                self._land(number)
            elif state.commits < log.state.commits:
                self._fall(log, state)
            elif state != log.state:
                self._lose(Loss(number, f"shard {number} was written to by nobody knows whom"))
        self._under_way, self._sent, self._handed, self._is_in_doubt = {}, 0, set(), False
        self._settle()

    def _to_give(self) -> list[Handover]:
        """What can be given away now."""
        written = self._written()
        ready = [(self._logs[number], self._giving[number]) for number in sorted(self._giving.keys() - written)]
        return [
            Handover(log.number, log.epoch, log.state.ends.last_place, receiver.to, receiver.timeline_ns())
            for log, receiver in ready
        ]

    def _written(self) -> set[int]:
        """The shards in which something is to be written."""
        return {number for submission in self._unsettled for number in submission.writes}

    def _part_with(self, number: int) -> None:
        """A shard was given away."""
        if self._logs.pop(number, None) is not None:
            self._forget(number)
            self.given.append(number)

    def _land(self, number: int) -> None:
        """Takes what is under way of a shard for durable."""
        commit = self._under_way.pop(number)
        if number in self._fallen:
            what = f"PostgreSQL has lost acknowledged events of shard {number}, which goes on as another log"
            self._lose(Loss(number, what, self._fallen[number]))
            return
        self._logs[number].landed(commit)
        for submission in islice(self._unsettled, self._sent):
            submission.writes.pop(number, None)

    def _fall(self, log: ShardLog, state: LogState) -> None:
        """PostgreSQL holds less of a shard than it has acknowledged: nothing more is written to it but a new log id."""
        events = log.state.ends.last_seq - state.ends.last_seq
        self._fallen[log.number] = self._fallen.get(log.number, 0) + events
        log.state = state

    def _renaming(self, log: ShardLog) -> ShardCommit:
        state = log.state
        return ShardCommit(log.number, log.epoch, state.ends.last_place, state.renamed(self._new_log_id()), [], [], [])

    def _lose(self, loss: Loss) -> None:
        del self._logs[loss.number]
        self._forget(loss.number)
        self.lost.append(loss)

    def _forget(self, number: int) -> None:
        """Forgets what turns have written in a shard, and all else about it.

        What is under way was about this log: of one of the same shard that is added before it ends, it tells nothing.
        """
        for known in (self._fallen, self._giving, self._under_way):
            known.pop(number, None)
        self._raising.discard(number)
        self._handed.discard(number)
        for submission in self._unsettled:
            submission.writes.pop(number, None)

    def _settle(self) -> None:
        while self._unsettled and not self._unsettled[0].writes:
            self._unsettled.popleft()
            self._sent = max(self._sent - 1, 0)
