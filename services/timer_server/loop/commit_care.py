"""Care for a committer that takes its time: what it has to do by the clock, and answers that wait for it too long."""

from collections.abc import Callable, Sequence

from msgspec import Struct

from timer_protocol.durations import NS_PER_MS
from timer_server.loop.committer import Committer, Ticket
from timer_server.loop.tell import Teller
from timer_server.metrics import Metrics
from timer_server.requests.answers import STORE_AWAY, Answer
from timer_server.requests.shard import Shard, Writes

ANSWER_WITHIN_MS = 4_000
"""How long an answer waits for what it tells to become durable. Then it is replaced by an error."""


class Turn(Struct, frozen=True, gc=False):
    """What one turn has to make durable, by shard, and whom to tell once its ticket has settled.

    `begun_ns` is when it was submitted. It has no answers any more once they were told that it takes too long.
    """

    writes: list[tuple[Shard, Writes]]
    answers: list[Answer]
    ticket: Ticket
    begun_ns: int


class CommitCare:
    """A chore for turns in flight. Where they take too long it fails their answers, the oldest first.

    What such turns have done may become durable later. It is published then, and its requests are told no second time.
    """

    def __init__(
        self,
        committer: Committer,
        in_flight: Sequence[Turn],
        teller: Teller,
        metrics: Metrics,
        settle: Callable[[], Ticket],
    ) -> None:
        """`settle` has the committer go on, and gives the ticket up to which all has settled."""
        self._committer = committer
        self._in_flight = in_flight
        self._teller = teller
        self._metrics = metrics
        self._settle = settle

    def next_due_ns(self) -> int | None:
        committer_ns = self._committer.next_due_ns()
        overdue_ns = next((_due_ns(turn) for turn in self._in_flight if turn.answers), None)
        if committer_ns is None or overdue_ns is None:
            return overdue_ns if committer_ns is None else committer_ns
        return min(committer_ns, overdue_ns)

    def step(self, now_ns: int, _budget: int = 0) -> None:
        settled = self._settle()
        self._metrics.is_store_away = self._committer.is_away
        for turn in self._in_flight:
            if _due_ns(turn) > now_ns:
                return
            if turn.ticket > settled:
                self._teller.fail(turn.answers, STORE_AWAY)
                turn.answers.clear()

    def is_overdue(self, now_ns: int) -> bool:
        """Whether all turns in flight take too long.

        Requests that come in while no turn may begin are refused then, and not before: replies keep their order.
        """
        return bool(self._in_flight) and _due_ns(self._in_flight[-1]) <= now_ns


def _due_ns(turn: Turn) -> int:
    return turn.begun_ns + ANSWER_WITHIN_MS * NS_PER_MS
