"""What holds of queues, whatever happens to workers and servers: the invariants, and the judge that asks them all.

They read nothing but what workers were told, when servers were started, and how the queue stands in the end. When a
lease began and until when it was to last is by the server's clock.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

from campaigns.checker import Violation
from campaigns.queue_facts import Facts, Lease
from campaigns.queue_notes import Note

GRACE_MS = 15_000
"""What a lease has left after a start of the server, unless it is a shorter one."""

CLOCKS_MS = 50
"""How far the wall clock may have been moved against the server's within a campaign."""

Invariant = Callable[[Facts], Iterator[str]]


def every_end_is_settled(facts: Facts) -> Iterator[str]:
    """Each is acknowledged, or dead, or a worker died before it heard that its acknowledgement was done."""
    for timer_id in facts.plan.timer_ids:
        leases = facts.ends.get(timer_id, [])
        if timer_id in facts.dead or any(lease.is_acknowledged for lease in leases):
            continue
        if not leases:
            yield f"the end of {timer_id} was never delivered"
        elif None not in leases[-1].acks:
            yield f"the end of {timer_id} is neither acknowledged nor dead after lease {leases[-1].number}"


def none_is_acknowledged_twice(facts: Facts) -> Iterator[str]:
    """An end that is acknowledged is never leased again, acknowledged under another lease, or dead."""
    for timer_id, leases in facts.ends.items():
        done = [lease.number for lease in leases if lease.is_acknowledged]
        if len(done) > 1:
            yield f"the end of {timer_id} was acknowledged under the leases {done}"
        if done and leases[-1].number > done[0]:
            yield f"the end of {timer_id} was acknowledged as lease {done[0]} and came again as {leases[-1].number}"
        if done and timer_id in facts.dead:
            yield f"the end of {timer_id} was acknowledged as lease {done[0]} and is dead"


def leases_never_overlap(facts: Facts) -> Iterator[str]:
    """A lease that nobody asked to end lasts as long as was said, before the next one of that end begins."""
    for before, after in _in_turn(facts):
        if not before.may_be_settled and after.begun_ms < before.until_ms:
            yield (
                f"lease {after.number} of {after.timer_id} began at {after.begun_ms}; "
                f"lease {before.number} was to last until {before.until_ms}"
            )


def a_start_leaves_time(facts: Facts) -> Iterator[str]:
    """A lease that was given since the start before is not over before whoever has it had time to renew it."""
    least_ms = min(facts.plan.lease_ms, GRACE_MS) - CLOCKS_MS
    for earlier, server in pairwise(facts.servers):
        for before, after in _in_turn(facts):
            was_leased = earlier.listening_ms < before.begun_ms < server.killed_ms < before.until_ms - CLOCKS_MS
            left_ms = after.begun_ms - server.launched_ms
            if was_leased and not before.may_be_settled and 0 < left_ms < least_ms:
                yield (
                    f"lease {before.number} of {before.timer_id} was over {left_ms:.0f} ms after the server was "
                    f"launched; expected {least_ms} ms"
                )


def attempts_are_counted(facts: Facts) -> Iterator[str]:
    """Each lease uses an attempt unless it is returned, and there are no more of them than may be."""
    most = facts.plan.max_deliveries
    for timer_id, leases in facts.ends.items():
        for lease in leases:
            if not 1 <= lease.attempt <= most:
                yield f"lease {lease.number} of {timer_id} is attempt {lease.attempt} of {most}"
        for before, after in pairwise(leases):
            least = before.attempt + ("return" not in before.nacks)
            if not least <= after.attempt <= before.attempt + after.number - before.number:
                yield (
                    f"lease {after.number} of {timer_id} is attempt {after.attempt}; "
                    f"lease {before.number} was {before.attempt}"
                )


def repeated_takes_give_no_others(facts: Facts) -> Iterator[str]:
    """A take that is repeated gives what it still leases, until all that it leased was to run out."""
    for key, answers in facts.takes.items():
        for before, after in pairwise(answers):
            others = [facts.leases[receipt] for receipt in after if receipt not in before]
            remembered_ms = max(facts.leases[receipt].begun_ms for receipt in before) + facts.plan.lease_ms
            if others and min(other.begun_ms for other in others) < remembered_ms:
                yield f"take {key} gave {len(before)} deliveries, and {len(others)} others when it was repeated"


def done_stays_done(facts: Facts) -> Iterator[str]:
    """Whoever was told that a lease was ended by its acknowledgement is told so again."""
    for lease in facts.leases.values():
        told = [is_done for is_done in lease.acks if is_done is not None]
        if True in told and False in told[told.index(True) :]:
            yield f"lease {lease.number} of {lease.timer_id} was acknowledged, and lost when that was repeated"


def the_dead_had_their_attempts(facts: Facts) -> Iterator[str]:
    """A letter is dead because a worker said so, or because it has used all attempts."""
    for timer_id, letter in facts.dead.items():
        is_given_up = any("dead" in lease.nacks for lease in facts.ends.get(timer_id, []))
        if letter["attempts"] != facts.plan.max_deliveries and not is_given_up:
            yield f"the end of {timer_id} is dead after {letter['attempts']} attempts, and nobody has given it up"


def nothing_is_left(facts: Facts) -> Iterator[str]:
    """In the end the queue holds dead letters only, and counts them as they are."""
    if facts.closed is None:
        yield "the queue did not become empty"
        return
    queue, dead = facts.closed.queue, len(facts.closed.dead)
    expected = {"ready": 0, "leased": 0, "delayed": 0, "dead": dead, "dropped": 0}
    found = {name: queue[name] for name in expected}
    if found != expected:
        yield f"the queue says {found}; expected {expected}"
    if dead != len(facts.dead):
        yield f"{dead} letters are of {len(facts.dead)} ends"


def ends_are_told_alike(facts: Facts) -> Iterator[str]:
    """Every delivery of an end tells the same event, of a timer that was started."""
    yield from facts.contradictions
    started = set(facts.plan.timer_ids)
    for timer_id, leases in facts.ends.items():
        if timer_id not in started:
            yield f"an end of {timer_id} was delivered, which was never started"
        if len(seqs := {lease.seq for lease in leases}) > 1:
            yield f"the end of {timer_id} came with seq {sorted(seqs)}"
    yield from (f"an end of {timer_id} is dead, which was never started" for timer_id in facts.dead.keys() - started)


def workers_get_no_errors(facts: Facts) -> Iterator[str]:
    """What workers ask is right, so nothing is refused."""
    for asked, told in facts.calls:
        if told is not None and told.error is not None:
            yield f"{asked.method} of {asked.by} was refused: {told.error}"


INVARIANTS: tuple[Invariant, ...] = (
    every_end_is_settled,
    none_is_acknowledged_twice,
    leases_never_overlap,
    a_start_leaves_time,
    attempts_are_counted,
    repeated_takes_give_no_others,
    done_stays_done,
    the_dead_had_their_attempts,
    nothing_is_left,
    ends_are_told_alike,
    workers_get_no_errors,
)


def judge(notes: Sequence[Note]) -> list[Violation]:
    """All violations there are in some notes, invariant by invariant."""
    facts = Facts.of(notes)
    return [Violation(invariant.__name__, sentence) for invariant in INVARIANTS for sentence in invariant(facts)]


def _in_turn(facts: Facts) -> Iterator[tuple[Lease, Lease]]:
    """Each known lease of an end, and the next known one."""
    for leases in facts.ends.values():
        yield from pairwise(leases)
