"""The campaign about queues finds what is wrong: in notes that are told differently, and of servers with a fault."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from random import Random
from typing import Any

import pytest
from msgspec.structs import replace

from campaigns import __main__ as command
from campaigns.queue_invariants import INVARIANTS, judge
from campaigns.queue_notes import Asked, Closed, Note, Notebook, Planned, ServerUp, Told, now_ms, read_notes
from campaigns.queue_worker import Worker
from campaigns.sabotaged_queues import SABOTAGES
from drivers.peers import request, requester
from drivers.server_process import ServerProcess

LEASE_MS = 1_000
FOUND_BY = {
    "forgets_leases": {"leases_never_overlap", "a_start_leaves_time"},
    "loses_acknowledgements": {"none_is_acknowledged_twice"},
    "forgets_takes": {"repeated_takes_give_no_others"},
}
LEASES_MS = {"loses_acknowledgements": 1_000}
"""Its leases have to run out; those of the others must not, however slow the machine is."""


class Story:
    """Notes of a worker, made one after the other. `number` is that of a lease, `at_ms` when the server decided."""

    def __init__(self, *timer_ids: str) -> None:
        self.notes: list[Note] = [Planned(list(timer_ids), "q", LEASE_MS, 3), ServerUp("timer_server", 0, 0, 1)]
        self._calls = 0

    def call(self, method: str, result: dict[str, Any] | None, **params: Any) -> None:
        """What was asked, and told unless the worker died."""
        self._calls += 1
        self.notes.append(Asked("w", self._calls, 0, method, params))
        if result is not None:
            self.notes.append(Told("w", self._calls, 0, 1, result))

    def take(self, key: str, at_ms: int, *deliveries: tuple[str, int, int]) -> None:
        """A take of timers, each with the number and the attempt of its lease."""
        told = [
            {
                "receipt": receipt(number),
                "attempt": attempt,
                "leased_until_ms": at_ms + LEASE_MS,
                "event": {"seq": int(timer_id), "timer": {"id": timer_id}},
            }
            for timer_id, number, attempt in deliveries
        ]
        self.call("queue.take", {"deliveries": told}, key=key)

    def ack(self, number: int, *, is_done: bool | None = True) -> None:
        """An acknowledgement; None where the worker died."""
        self.call("queue.ack", settled(number, is_done), receipts=[receipt(number)])

    def nack(self, number: int, then: str) -> None:
        """A delivery that was given back, or up."""
        self.call("queue.nack", settled(number, True), receipts=[receipt(number)], then=then)

    def close(self, dead: Sequence[tuple[str, int]] = (), counts: dict[str, int] | None = None) -> "Story":
        """The end, with dead letters and their attempts."""
        letters = [{"attempts": attempts, "event": {"timer": {"id": timer_id}}} for timer_id, attempts in dead]
        expected = {"ready": 0, "leased": 0, "delayed": 0, "dropped": 0, "dead": len(letters)}
        self.notes.append(Closed({**expected, **(counts or {})}, letters))
        return self


def receipt(number: int) -> str:
    return f"log~q~{number}"


def settled(number: int, is_done: bool | None) -> dict[str, Any] | None:
    if is_done is None:
        return None
    return {"done": [receipt(number)] * is_done, "lost": [receipt(number)] * (not is_done)}


def good() -> Story:
    """Whatever may happen, as it should: an end that is done, one after a lease ran out, one dead, one unheard."""
    story = Story("1", "2", "3", "4")
    story.take("a", 10, ("1", 1, 1), ("2", 2, 1), ("3", 3, 1), ("4", 4, 1))
    story.take("a", 10, ("1", 1, 1), ("2", 2, 1))
    story.ack(1)
    story.ack(1)
    story.nack(3, "return")
    story.take("b", 20, ("3", 5, 1))
    story.nack(5, "dead")
    story.notes.append(ServerUp("timer_server", 500, 600, 700))
    story.take("c", 1_700, ("2", 6, 2), ("4", 7, 2))
    story.ack(2, is_done=False)
    story.ack(6)
    story.ack(7, is_done=None)
    return story


def lose_an_end() -> Story:
    story = Story("1")
    story.take("a", 10, ("1", 1, 1))
    story.ack(1, is_done=False)
    return story.close()


def never_deliver_an_end() -> Story:
    return Story("1").close()


def lease_what_was_acknowledged() -> Story:
    story = Story("1")
    story.take("a", 10, ("1", 1, 1))
    story.ack(1)
    story.take("b", 2_000, ("1", 2, 2))
    return story.close()


def acknowledge_for_two() -> Story:
    story = Story("1")
    story.take("a", 10, ("1", 1, 1))
    story.take("b", 2_000, ("1", 2, 2))
    story.ack(2)
    story.ack(1)
    return story.close()


def bury_what_was_acknowledged() -> Story:
    story = Story("1")
    story.take("a", 10, ("1", 1, 3))
    story.ack(1)
    return story.close(dead=[("1", 3)])


def lease_to_two() -> Story:
    story = Story("1")
    story.take("a", 10, ("1", 1, 1))
    story.take("b", 500, ("1", 2, 2))
    story.ack(2)
    return story.close()


def end_what_was_renewed() -> Story:
    story = Story("1")
    story.take("a", 10, ("1", 1, 1))
    story.call("queue.renew", {"leased": [receipt(1)], "leased_until_ms": 1_500}, receipts=[receipt(1)])
    story.take("b", 1_100, ("1", 2, 2))
    story.ack(2)
    return story.close()


def leave_no_time() -> Story:
    story = Story("1")
    story.take("a", 10, ("1", 1, 1))
    story.notes.append(ServerUp("timer_server", 500, 1_500, 1_700))
    story.take("b", 1_800, ("1", 2, 2))
    story.ack(2)
    return story.close()


def deliver_too_often() -> Story:
    story = Story("1")
    story.take("a", 10, ("1", 1, 4))
    story.ack(1)
    return story.close()


def forget_an_attempt() -> Story:
    story = Story("1")
    story.take("a", 10, ("1", 1, 1))
    story.nack(1, "retry")
    story.take("b", 500, ("1", 2, 1))
    story.ack(2)
    return story.close()


def give_others_when_repeated() -> Story:
    story = Story("1", "2")
    story.take("a", 10, ("1", 1, 1))
    story.take("a", 500, ("1", 1, 1), ("2", 2, 1))
    story.ack(1)
    story.ack(2)
    return story.close()


def forget_what_was_done() -> Story:
    story = Story("1")
    story.take("a", 10, ("1", 1, 1))
    story.ack(1)
    story.ack(1, is_done=False)
    return story.close()


def give_up_early() -> Story:
    story = Story("1")
    story.take("a", 10, ("1", 1, 1))
    return story.close(dead=[("1", 1)])


def leave_something() -> Story:
    return good().close(dead=[("3", 1)], counts={"delayed": 1})


def miscount_the_dead() -> Story:
    return good().close(dead=[("3", 1)], counts={"dead": 2})


def tell_another_event() -> Story:
    story = good()
    story.notes = [
        replace(note, result={"deliveries": [one | {"event": one["event"] | {"seq": 9}} for one in deliveries]})
        if isinstance(note, Told) and (deliveries := (note.result or {}).get("deliveries")) and note.call == 2
        else note
        for note in story.notes
    ]
    return story.close(dead=[("3", 1)])


def deliver_what_was_never_started() -> Story:
    story = Story()
    story.take("a", 10, ("1", 1, 1))
    story.ack(1)
    return story.close()


def refuse() -> Story:
    story = Story()
    story.call("queue.take", None, key="a")
    story.notes.append(Told("w", 1, 0, 1, error="invalid_params"))
    return story.close()


TOLD: dict[Callable[[], Story], set[str]] = {
    lose_an_end: {"every_end_is_settled"},
    never_deliver_an_end: {"every_end_is_settled"},
    lease_what_was_acknowledged: {"none_is_acknowledged_twice"},
    acknowledge_for_two: {"none_is_acknowledged_twice"},
    bury_what_was_acknowledged: {"none_is_acknowledged_twice"},
    lease_to_two: {"leases_never_overlap"},
    end_what_was_renewed: {"leases_never_overlap"},
    leave_no_time: {"a_start_leaves_time"},
    deliver_too_often: {"attempts_are_counted"},
    forget_an_attempt: {"attempts_are_counted"},
    give_others_when_repeated: {"repeated_takes_give_no_others"},
    forget_what_was_done: {"done_stays_done"},
    give_up_early: {"the_dead_had_their_attempts"},
    leave_something: {"nothing_is_left"},
    miscount_the_dead: {"nothing_is_left"},
    good: {"every_end_is_settled", "nothing_is_left"},
    tell_another_event: {"ends_are_told_alike"},
    deliver_what_was_never_started: {"ends_are_told_alike"},
    refuse: {"workers_get_no_errors"},
}
"""Stories in which something is wrong, and the invariants that say so. The good one has no end."""


def test_what_may_happen_is_no_violation(tmp_path: Path) -> None:
    notebook = Notebook(tmp_path, "worker")
    for note in good().close(dead=[("3", 1)]).notes:
        notebook.write(note)
    notebook.close()
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes() + b'{"type":"asked", cut off by a ki')
    assert judge(read_notes(tmp_path)) == []
    assert command.main(["check", str(tmp_path)]) == command.EXIT_HELD


@pytest.mark.parametrize("story", TOLD)
def test_what_is_wrong_is_named(story: Callable[[], Story]) -> None:
    found = judge(story().notes)
    assert {violation.invariant for violation in found} == TOLD[story], list(map(str, found))


def test_every_invariant_can_be_violated() -> None:
    assert set().union(*TOLD.values()) == {invariant.__name__ for invariant in INVARIANTS}


@pytest.mark.thorough
@pytest.mark.parametrize("sabotage", ["", *SABOTAGES])
def test_a_planted_fault_is_found_by_two_workers_and_a_kill(sabotage: str, tmp_path: Path) -> None:
    module = "campaigns.sabotaged_queues" if sabotage else "timer_server"
    with ServerProcess(tmp_path, {"SABOTAGE": sabotage}, module) as server:
        short_day(server, tmp_path, LEASES_MS.get(sabotage, 30_000))
    found = judge(read_notes(tmp_path))
    assert {violation.invariant for violation in found} == FOUND_BY.get(sabotage, set()), list(map(str, found))


def short_day(server: ServerProcess, folder: Path, lease_ms: int) -> None:
    """One worker takes, repeats its take and acknowledges a part; the server is killed; another does the rest."""
    timer_ids = [f"q/{number}" for number in range(9)]
    with ExitStack() as stack:
        notes, *workers_notes = (stack.enter_context(closing(Notebook(folder, name))) for name in "012")
        first, second = (
            stack.enter_context(closing(Worker(server.commands, "q", notebook, str(number), Random(number))))  # noqa: S311
            for number, notebook in enumerate(workers_notes)
        )
        rpc = stack.enter_context(requester(server.commands))
        notes.write(Planned(timer_ids, "q", lease_ms, 5))
        notes.write(ServerUp(server.module, 0, 0, now_ms()))
        rpc.call("queue.put", queue="q", prefix="q/", lease_ms=lease_ms)
        rpc.batch([request("timer.start", timer_id, id=timer_id, seconds=0.001) for timer_id in timer_ids])
        for timer_id in timer_ids:
            rpc.call("timer.wait", id=timer_id, wait_ms=10_000)

        receipts = take(first, "one", 3)
        first.ask("queue.ack", receipts=receipts[:1])
        receipts = [*receipts[1:], *take(first, "one", 3)]
        killed_ms = now_ms()
        server.kill()
        launched_ms = now_ms()
        server.start()
        notes.write(ServerUp(server.module, killed_ms, launched_ms, now_ms()))
        second.ask("queue.ack", receipts=take(second, "two", len(timer_ids)))
        first.ask("queue.ack", receipts=receipts)
        while (queue := rpc.call("queue.get", queue="q"))["ready"] or queue["leased"]:
            second.ask("queue.ack", receipts=take(second, f"three/{now_ms()}", 1))
        notes.write(Closed(queue, rpc.call("queue.dead", queue="q")["dead"]))


def take(worker: Worker, key: str, most: int) -> list[str]:
    """The receipts of what a worker takes, for which it waits."""
    deliveries = worker.ask("queue.take", key=key, max=most, wait_ms=5_000)["deliveries"]
    return [delivery["receipt"] for delivery in deliveries]
