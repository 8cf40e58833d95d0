"""What the notes of a campaign of queues come to: leases, by end and by receipt, and what was asked about each."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from campaigns.queue_notes import Asked, Closed, Note, Planned, ServerUp, Told


@dataclass
class Lease:
    """A lease as workers were told of it. Numbers of leases rise, so they tell which is later.

    By the server's clock it began no later than `begun_ms`, and no earlier end of it was promised than `until_ms`.
    """

    receipt: str
    number: int
    timer_id: str
    seq: int
    attempt: int
    begun_ms: int
    until_ms: int
    acks: list[bool | None] = field(default_factory=list)
    """What became of each acknowledgement that was asked for: done or lost, None where nobody was told."""

    nacks: dict[str, list[bool | None]] = field(default_factory=lambda: defaultdict(list))
    """The same of each nack, by what was to happen then."""

    @property
    def is_acknowledged(self) -> bool:
        """Whether a worker was told so."""
        return True in self.acks

    @property
    def may_be_settled(self) -> bool:
        """Whether somebody asked to end it, and was not told that it was lost."""
        return any(is_done is not False for told in (self.acks, *self.nacks.values()) for is_done in told)


@dataclass
class Facts:
    """All that is known."""

    plan: Planned
    closed: Closed | None
    servers: list[ServerUp]
    calls: list[tuple[Asked, Told | None]]
    leases: dict[str, Lease] = field(default_factory=dict)
    """By receipt."""

    ends: dict[str, list[Lease]] = field(default_factory=dict)
    """Of each timer's end, in the order of their numbers."""

    takes: dict[str, list[list[str]]] = field(default_factory=lambda: defaultdict(list))
    """The receipts of each answer to a take that had some, by key, in order."""

    contradictions: list[str] = field(default_factory=list)
    """Deliveries that tell something else of an end or a lease than others do."""

    @classmethod
    def of(cls, notes: Sequence[Note]) -> "Facts":
        """The facts in some notes, of which those of each worker are in order."""
        told = {(note.by, note.call): note for note in notes if isinstance(note, Told)}
        calls = [(note, told.get((note.by, note.call))) for note in notes if isinstance(note, Asked)]
        (plan,) = (note for note in notes if isinstance(note, Planned))
        servers = sorted((note for note in notes if isinstance(note, ServerUp)), key=lambda up: up.launched_ms)
        facts = cls(plan, next((note for note in notes if isinstance(note, Closed)), None), servers, calls)
        for asked, answer in calls:
            if asked.method == "queue.take" and answer is not None and answer.result is not None:
                facts._note_deliveries(asked.params["key"], answer.result["deliveries"])
        for asked, answer in calls:
            facts._note_asked(asked, answer)
        for lease in sorted(facts.leases.values(), key=lambda lease: lease.number):
            facts.ends.setdefault(lease.timer_id, []).append(lease)
        return facts

    @property
    def dead(self) -> dict[str, dict[str, Any]]:
        """Dead letters by the timer whose end they are."""
        letters = self.closed.dead if self.closed else []
        return {letter["event"]["timer"]["id"]: letter for letter in letters}

    def _note_deliveries(self, key: str, deliveries: list[dict[str, Any]]) -> None:
        if deliveries:
            self.takes[key].append([delivery["receipt"] for delivery in deliveries])
        for delivery in deliveries:
            event, receipt, until_ms = delivery["event"], delivery["receipt"], delivery["leased_until_ms"]
            begun_ms = until_ms - self.plan.lease_ms
            told = Lease(
                receipt,
                int(receipt.rpartition("~")[2]),
                event["timer"]["id"],
                event["seq"],
                delivery["attempt"],
                begun_ms,
                until_ms,
            )
            lease = self.leases.setdefault(receipt, told)
            lease.begun_ms = min(lease.begun_ms, begun_ms)
            lease.until_ms = max(lease.until_ms, until_ms)
            for name in ("timer_id", "seq", "attempt"):
                if getattr(lease, name) != getattr(told, name):
                    what = f"{getattr(lease, name)} and {getattr(told, name)}"
                    self.contradictions.append(f"receipt {receipt} came with {name} {what}")

    def _note_asked(self, asked: Asked, told: Told | None) -> None:
        result = (told and told.result) or {}
        for receipt in asked.params.get("receipts", ()):
            lease = self.leases[receipt]
            is_done = None if told is None else receipt in result.get("done", ())
            if asked.method == "queue.ack":
                lease.acks.append(is_done)
            elif asked.method == "queue.nack":
                lease.nacks[asked.params["then"]].append(is_done)
            elif receipt in result.get("leased", ()):
                lease.until_ms = max(lease.until_ms, result["leased_until_ms"])
