"""A recorded history passes; told differently, exactly the invariants that it breaks are named."""

from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from random import Random

import pytest
from msgspec.structs import replace

from campaigns.checker import INVARIANTS, check, count_lost
from campaigns.clients import PlainClient, Request
from campaigns.clocks import Clocks
from campaigns.facts import Facts
from campaigns.history import Closed, Failed, Heard, History, Listed, Logged, WallSet
from campaigns.invariants_of_clocks import OFF_S
from campaigns.retelling import Retelling
from campaigns.script import at_moment
from campaigns.trial import Trial
from campaigns.workload import Load
from timer_protocol.messages import Timer

EVENT_LIMIT_S = 10
HOUR_S = 3_600
HOUR_MS = 1000 * HOUR_S


def play(trial: Trial, client: PlainClient, clocks: Clocks) -> None:
    """A little of everything: the timers are named after what becomes of them."""

    def ask(method: str, timer_id: str, **params: object) -> None:
        client.ask([Request(f"timer.{method}", {"id": timer_id, **params})])

    for timer_id, seconds in {"fires": 0.25, "stands": 1, "resumes": 1, "dies": 1, "again": 0.2}.items():
        ask("start", timer_id, seconds=seconds)
    ask("pause", "stands")
    ask("pause", "resumes")
    ask("cancel", "dies")
    ask("start", "fires", seconds=0.25)
    ask("start", "grows", minutes=60)
    for key in ("one", "one", "two"):
        ask("extend", "grows", key=key, seconds=0.101 if key == "one" else 0.102)
    ask("start", "rings", **at_moment(clocks.wall_s() + 0.15))
    ask("start", "later", **at_moment(clocks.wall_s() + HOUR_S, "Asia/Kolkata"))
    ask("extend", "later", key="one", seconds=0.5)
    trial.history.wait_for(Heard, 17, EVENT_LIMIT_S)  # among them the ends of three timers
    clocks.step(-HOUR_S)
    trial.history.wait_for(Heard, 18, EVENT_LIMIT_S)  # of `later`, that it has moved
    ask("restart", "rings", key="one")
    ask("pause", "rings")
    ask("start", "missed", **at_moment(clocks.wall_s() - 1))
    ask("restart", "again", key="one")
    ask("resume", "resumes")
    ask("resume", "resumes")
    ask("restart", "grows", key="three")


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> History:
    folder, history = tmp_path_factory.mktemp("server"), History()
    clocks = Clocks(folder, history)
    with Trial(folder, Random(1), Load(plain=0, library=0), clocks.server(), history) as trial:  # noqa: S311
        with closing(PlainClient("by hand", trial.history, trial.server.commands)) as client:
            play(trial, client, clocks)
        trial.settle()
    return history


def drop_an_event(told: Retelling) -> None:
    event = told.find("grows", "restarted")
    told.drop(lambda entry: isinstance(entry, Logged | Heard) and entry.event == event)


def drop_what_a_watcher_heard(told: Retelling) -> None:
    seq = told.find("grows", "extended").seq
    told.drop(lambda entry: isinstance(entry, Heard) and entry.event.seq == seq)


def repeat_what_a_watcher_heard(told: Retelling) -> None:
    heard = told.heard(told.find("grows", "extended"))
    told.entries.insert(told.entries.index(heard), heard)


def reorder_what_a_watcher_heard(told: Retelling) -> None:
    told.swap(told.heard(told.find("dies", "started")), told.heard(told.find("dies", "cancelled")))


def reorder_the_log(told: Retelling) -> None:
    told.swap(Logged(told.find("stands", "paused")), Logged(told.find("resumes", "paused")))


def fire_twice(told: Retelling) -> None:
    timer = told.find("fires", "fired").timer
    told.append("fired", replace(timer, version=timer.version + 1))


def fire_early_by_the_servers_clock(told: Retelling) -> None:
    end = told.find("resumes", "fired")  # the last event, so that no other is between
    assert end.timer.due_at_ms is not None
    early_ms = end.timer.due_at_ms - 1
    told.change("resumes", end.timer.version, lambda timer: replace(timer, ended_at_ms=early_ms), at_ms=early_ms)


def fire_early_by_the_clients_clock(told: Retelling) -> None:
    told.drop(lambda entry: isinstance(entry, WallSet))  # so it is judged by the clients' clock alone
    asked_s = told.first_asked("fires", "timer.start").at_s
    told.replace_entry(told.heard(told.find("fires", "fired")), at_s=asked_s + 0.249)


def fire_by_counting_a_pause(told: Retelling) -> None:
    told.drop(lambda entry: isinstance(entry, WallSet))
    resumed_s = told.first_asked("resumes", "timer.resume").at_s
    told.replace_entry(told.heard(told.find("resumes", "fired")), at_s=resumed_s + 0.2)


def count_paused_time(told: Retelling) -> None:
    for kind in ("resumed", "fired"):
        version = told.find("resumes", kind).timer.version
        told.change("resumes", version, lambda timer: replace(timer, due_at_ms=(timer.due_at_ms or 0) - 50))


def lose_an_acknowledged_timer(told: Retelling) -> None:
    told.forget("dies")


def lose_an_acknowledged_change(told: Retelling) -> None:
    answer = told.answer_to(told.last_asked("grows", "timer.restart"))
    assert answer.timer is not None
    told.replace_entry(answer, timer=replace(answer.timer, version=99))


def answer_what_was_so_before(told: Retelling) -> None:
    asked, began = told.last_asked("grows", "timer.restart"), told.first_asked("grows", "timer.start")
    told.replace_entry(told.answer_to(asked), timer=told.answer_to(began).timer)


def invent_a_timer(told: Retelling) -> None:
    timer = _latest(told, "grows")
    told.append("started", _started_at_the_end(told, replace(timer, id="nobody's", version=1)))


def apply_a_key_twice(told: Retelling) -> None:
    timer = _latest(told, "grows")
    assert timer.due_at_ms is not None
    longer = replace(timer, duration_ms=timer.duration_ms + 101, due_at_ms=timer.due_at_ms + 101)
    told.append("extended", replace(longer, version=timer.version + 1))


def restart_twice_for_a_key(told: Retelling) -> None:
    timer = _latest(told, "grows")
    told.append("restarted", _started_at_the_end(told, replace(timer, version=timer.version + 1)))


def start_an_id_twice(told: Retelling) -> None:
    timer = _latest(told, "grows")
    told.append("started", _started_at_the_end(told, replace(timer, version=timer.version + 1)))


def fire_after_a_cancel(told: Retelling) -> None:
    _fire_now(told, "dies")


def fire_after_a_pause(told: Retelling) -> None:
    _fire_now(told, "stands")


def move_a_deadline(told: Retelling) -> None:
    told.change(
        "grows",
        _latest(told, "grows").version,
        lambda timer: replace(timer, due_at_ms=(timer.due_at_ms or 0) + HOUR_MS),
    )


def forget_a_deadline(told: Retelling) -> None:
    end = told.entries[-1]
    assert isinstance(end, Closed)
    told.replace_entry(end, now_ms={log: now_ms + 2 * HOUR_MS for log, now_ms in end.now_ms.items()})


def live_on_after_the_end(told: Retelling) -> None:
    timer = _latest(told, "resumes")
    told.append("cancelled", replace(timer, state="cancelled", version=timer.version + 1))


def list_what_the_log_has_not(told: Retelling) -> None:
    listed = Listed(_latest(told, "stands"))
    told.replace_entry(listed, timer=replace(listed.timer, remaining_ms=1))


def fail_at_a_caller(told: Retelling) -> None:
    told.entries.insert(0, Failed("somebody", 0, "ServerUnreachable()"))


def answer_nothing(told: Retelling) -> None:
    answer = told.answer_to(told.last_asked("grows", "timer.restart"))
    told.drop(lambda entry: entry == answer)


def refuse_for_no_reason(told: Retelling) -> None:
    answer = told.answer_to(told.last_asked("grows", "timer.restart"))
    told.replace_entry(answer, timer=None, error="internal_error")


def fire_before_the_moment(told: Retelling) -> None:
    """The wall clock was set back before, not after the timer fired."""
    *_, step = (entry for entry in told.entries if isinstance(entry, WallSet))
    clock = Facts.of(told.history).wall_clock
    assert clock is not None
    before_s = clock.monotonic_s(told.find("rings", "fired").at_ms) - 2 * OFF_S
    told.replace_entry(step, begun_s=before_s, done_s=before_s)


def hear_before_it_happens(told: Retelling) -> None:
    asked_s = told.first_asked("later", "timer.start").at_s
    told.replace_entry(told.heard(told.find("later", "started")), at_s=asked_s - 1)


def notice_no_step(told: Retelling) -> None:
    version = told.find("later", "extended").timer.version
    told.change("later", version, lambda timer: replace(timer, due_at_ms=(timer.due_at_ms or 0) - HOUR_MS))


def move_by_the_clock_what_it_does_not_bind(told: Retelling) -> None:
    told.change("stands", told.find("stands", "paused").timer.version, lambda timer: timer, cause="clock")


def refuse_a_moment_that_is_to_come(told: Retelling) -> None:
    asked = told.first_asked("missed", "timer.start")
    told.replace_entry(asked, params={**told.first_asked("later", "timer.start").params, "id": "missed"})


def go_on_after_a_deadline(told: Retelling) -> None:
    end = told.entries[-1]
    assert isinstance(end, Closed)
    told.replace_entry(end, at_s=end.at_s + 3 * HOUR_S)


def break_off(told: Retelling) -> None:
    told.drop(lambda entry: isinstance(entry, Closed))


MUTATIONS: dict[Callable[[Retelling], None], set[str]] = {
    drop_an_event: {"the_log_is_whole", "acknowledged_changes_are_kept", "list_and_log_agree"},
    drop_what_a_watcher_heard: {"watchers_hear_all_once_in_order"},
    repeat_what_a_watcher_heard: {"watchers_hear_all_once_in_order"},
    reorder_what_a_watcher_heard: {"watchers_hear_all_once_in_order"},
    reorder_the_log: {"the_log_is_whole"},
    fire_twice: {"one_fired_per_run"},
    fire_early_by_the_servers_clock: {"no_event_before_its_deadline"},
    fire_early_by_the_clients_clock: {"no_event_before_its_deadline"},
    fire_by_counting_a_pause: {"no_event_before_its_deadline"},
    count_paused_time: {"paused_time_never_counts"},
    lose_an_acknowledged_timer: {"acknowledged_starts_are_kept", "acknowledged_changes_are_kept"},
    lose_an_acknowledged_change: {"acknowledged_changes_are_kept"},
    answer_what_was_so_before: {"replies_are_current"},
    invent_a_timer: {"nothing_is_invented"},
    apply_a_key_twice: {"a_repeat_has_one_effect"},
    restart_twice_for_a_key: {"a_repeat_has_one_effect"},
    start_an_id_twice: {"a_repeat_has_one_effect", "lives_are_possible"},
    fire_after_a_cancel: {"no_fired_after_a_stop"},
    fire_after_a_pause: {"no_fired_after_a_stop"},
    move_a_deadline: {"no_deadline_moves"},
    forget_a_deadline: {"no_deadline_is_forgotten"},
    live_on_after_the_end: {"lives_are_possible", "nothing_is_invented"},
    list_what_the_log_has_not: {"list_and_log_agree"},
    fail_at_a_caller: {"clients_notice_nothing"},
    answer_nothing: {"clients_notice_nothing"},
    refuse_for_no_reason: {"clients_notice_nothing"},
    hear_before_it_happens: {"the_timeline_ignores_the_wall_clock"},
    fire_before_the_moment: {"no_wall_bound_before_its_moment", "wall_bound_are_due_at_their_moment"},
    notice_no_step: {"wall_bound_are_due_at_their_moment"},
    move_by_the_clock_what_it_does_not_bind: {"only_wall_bound_are_moved_by_the_clock"},
    refuse_a_moment_that_is_to_come: {"only_moments_that_have_passed_are_refused"},
    go_on_after_a_deadline: {"what_is_due_fires_promptly"},
    break_off: {"the_history_is_whole"},
}


def test_what_was_recorded_passes(recorded: History) -> None:
    assert check(recorded) == []
    assert len(recorded.all_of(Logged)) == 25
    assert len(recorded.all_of(Heard)) == 25


@pytest.mark.parametrize("mutation", MUTATIONS)
def test_what_is_wrong_is_named(recorded: History, mutation: Callable[[Retelling], None]) -> None:
    told = Retelling(recorded)
    mutation(told)
    found = check(told.history)
    assert {violation.invariant for violation in found} == MUTATIONS[mutation], list(map(str, found))


def test_each_log_of_a_store_is_judged_by_itself(recorded: History) -> None:
    told = Retelling(recorded)
    told.split("grows", "resumes")
    assert check(told.history) == []
    drop_an_event(told)
    assert {violation.invariant for violation in check(told.history)} == MUTATIONS[drop_an_event]


def test_a_reply_that_was_read_late_proves_no_pause(recorded: History) -> None:
    told = Retelling(recorded)
    paused, resumed = (told.first_asked("resumes", f"timer.{name}") for name in ("pause", "resume"))
    told.replace_entry(told.answer_to(paused), at_s=resumed.at_s + 0.1)
    told.replace_entry(told.last_asked("resumes", "timer.resume"), at_s=resumed.at_s + 0.5)
    assert check(told.history) == []


def test_every_invariant_can_be_violated() -> None:
    assert set().union(*MUTATIONS.values()) == {invariant.__name__ for invariant in INVARIANTS}


def test_losses_are_counted(recorded: History) -> None:
    told = Retelling(recorded)
    told.forget("dies")
    found = check(told.history)
    assert count_lost(found) == len(found) == 4  # its start from the list and the log, and two replies


def test_a_history_is_the_same_when_it_is_read_again(recorded: History, tmp_path: Path) -> None:
    recorded.write(tmp_path / "history.jsonl")
    assert History.read(tmp_path / "history.jsonl").entries == recorded.entries


def _latest(told: Retelling, timer_id: str) -> Timer:
    return next(entry.timer for entry in told.entries if isinstance(entry, Listed) and entry.timer.id == timer_id)


def _end_ms(told: Retelling) -> int:
    """When an event that is appended happens."""
    return max(entry.event.at_ms for entry in told.entries if isinstance(entry, Logged)) + 1


def _started_at_the_end(told: Retelling, timer: Timer) -> Timer:
    return replace(timer, started_at_ms=_end_ms(told), due_at_ms=_end_ms(told) + timer.duration_ms)


def _fire_now(told: Retelling, timer_id: str) -> None:
    timer = _latest(told, timer_id)
    told.append(
        "fired",
        replace(timer, state="fired", version=timer.version + 1, due_at_ms=_end_ms(told), ended_at_ms=_end_ms(told)),
    )
