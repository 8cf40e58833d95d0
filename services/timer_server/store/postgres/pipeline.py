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
from timer_server.store.state import LogState


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


class Loss(NamedTuple):
    """A shard that is served no longer: why, and how many of its acknowledged events PostgreSQL has lost."""

    number: int
    reason: str
    events: int = 0


class _Submission(Struct):
    """What a turn writes, by shard, as far as it is not known to be durable."""

    ticket: int
    writes: dict[int, Write]


class Pipeline:
    """All shards of a server. Tickets are numbers that rise by one."""

    def __init__(self, logs: Iterable[ShardLog], new_log_id: Callable[[], str]) -> None:
        self._logs = {log.number: log for log in logs}
        self._new_log_id = new_log_id
        self._asked: dict[int, int] = {}
        """The highest epoch that was asked for, where it is not known whether that was done."""
        self._unsettled: deque[_Submission] = deque()
        self._sent = 0
        """How many of them, the oldest, the commit under way holds."""
        self._under_way: dict[int, ShardCommit] = {}
        self._fallen: dict[int, int] = {}
        """Shards that are to get a new log id, and how many acknowledged events PostgreSQL has lost of each."""
        self._is_in_doubt = False
        self._last = 0
        self.lost: list[Loss] = []
        """Shards that were lost and that nobody has taken note of yet."""

    @property
    def settled(self) -> int:
        """The ticket up to which all is durable, but for what was lost."""
        return self._unsettled[0].ticket - 1 if self._unsettled else self._last

    def gather(self, ticket: int, writes: Mapping[int, Write]) -> None:
        """Takes in what a turn writes. What is of a lost shard is left out."""
        self._last = ticket
        self._unsettled.append(_Submission(ticket, {n: part for n, part in writes.items() if n in self._logs}))
        self._settle()

    def next(self) -> Raise | Commit | None:
        """What to send now that nothing is under way; None for nothing. Raises `StoreError`."""
        if self._is_in_doubt:
            for number, log in self._logs.items():
                self._asked[number] = self._asked.get(number, log.epoch) + 1
            return Raise([*self._asked.items()]) if self._asked else None
        if self._fallen:
            commits = [self._renaming(self._logs[number]) for number in self._fallen]
        else:
            writes: dict[int, list[Write]] = {}
            for submission in self._unsettled:
                for number, part in submission.writes.items():
                    writes.setdefault(number, []).append(part)
            commits = [self._logs[number].compose(parts) for number, parts in sorted(writes.items())]
            self._sent = len(self._unsettled)
        self._under_way = {commit.number: commit for commit in commits}
        return Commit(commits, is_renaming=bool(self._fallen)) if commits else None

    def committed(self, shards: Iterable[int]) -> None:
        """The commit under way is durable in these shards. It has written nothing in the others, which is in doubt."""
        for number in shards:
            self._land(number)
        self._is_in_doubt = bool(self._under_way)
        self._settle()

    def doubt(self) -> None:
        """Of what was under way it is not known whether it is durable."""
        self._is_in_doubt = True

    def raised(self, found: Mapping[int, tuple[int, LogState]]) -> None:
        """Epochs were raised, durably: the epoch and the state of each shard that is still this server's."""
        for number, log in [*self._logs.items()]:
            if number not in found:
                self._lose(Loss(number, f"another server has taken shard {number}"))
                continue
            log.epoch, state = found[number]
            if number in self._under_way and state == self._under_way[number].state:
                self._land(number)
            elif state.commits < log.state.commits:
                self._fall(log, state)
            elif state != log.state:
                self._lose(Loss(number, f"shard {number} was written to by nobody knows whom"))
        self._asked.clear()
        self._under_way, self._sent, self._is_in_doubt = {}, 0, False
        self._settle()

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
        self._fallen.pop(loss.number, None)
        self._forget(loss.number)
        self.lost.append(loss)

    def _forget(self, number: int) -> None:
        """Forgets what turns have written in a shard."""
        self._under_way.pop(number, None)
        for submission in self._unsettled:
            submission.writes.pop(number, None)

    def _settle(self) -> None:
        while self._unsettled and not self._unsettled[0].writes:
            self._unsettled.popleft()
            self._sent = max(self._sent - 1, 0)
