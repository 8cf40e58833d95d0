"""Changes in one step come to what changes one after the other come to."""

from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.bulk_bench import IDS, LARGE, TRACE, BulkBench, deeds
from drivers.builders import BEGIN_NS, NS_PER_S, Bench
from timer_protocol.many import Action, ChangeManyParams
from timer_protocol.messages import STATES, ExtendParams, ListParams, PauseParams, StartParams, State
from timer_server.core.bulk_effects import BULK_EFFECTS
from timer_server.core.effects import EFFECTS
from timer_server.core.many import _CHANGES, Changed, Timers, change_many
from timer_server.core.transitions import TRANSITIONS, Refuse

NOW_NS = BEGIN_NS + NS_PER_S + 1
ACTIONS: tuple[Action, ...] = get_args(Action)

asked = st.builds(
    ChangeManyParams,
    action=st.sampled_from(ACTIONS),
    states=st.sampled_from([("running", "paused"), ("running", "paused"), ("running",), STATES]),
    seconds=st.sampled_from([7, 7, 60, 0.0015, -1, -3, -80, 0, 1e300, float("inf")]),
    key=st.sampled_from([None, "k", "m"]),
    dry_run=st.sampled_from([False, False, False, True]),
)


class OneByOne(Timers):
    """Changes each timer by itself."""

    def look_at_all(self, *_: object) -> None:
        return None


def change(
    bench: Bench, ids: list[str], params: ChangeManyParams, kind: type[Timers] = Timers, most_bytes: int = 10_000
) -> Changed:
    """Changes a page of timers."""
    timers = kind(bench.engine, NOW_NS, bench.log.event)
    return change_many(lambda _: [(timers, range(len(ids)))], ids, params, most_bytes)


@settings(max_examples=20 * settings.default.max_examples)
@given(
    deeds,
    st.sampled_from([BEGIN_NS, BEGIN_NS, NOW_NS]),
    asked,
    st.booleans(),
    st.sampled_from([0, 700, 10_000]),
    st.sampled_from([None, None, 2_500]),
)
def test_changing_many_in_one_step_is_as_many_changes(
    earlier: list[tuple[Any, ...]],
    earlier_ns: int,
    params: ChangeManyParams,
    is_fit: bool,
    most_bytes: int,
    room: int | None,
) -> None:
    single, many = BulkBench(), BulkBench()
    for bench in (single, many):
        for deed in earlier:
            bench.do(deed, earlier_ns)
        bench.engine.limit_growth(room)
    ids = [entry.id for entry in many.list_page(ListParams()).entries]
    if is_fit:  # for one step, each by itself
        ids = [timer_id for timer_id in ids if many.engine.bulk_changes.look_at([timer_id], params, 10_000, NOW_NS)]

    assert change(many, ids, params, Timers, most_bytes) == change(single, ids, params, OneByOne, most_bytes)

    are_alike(many, single)


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("earlier_ns", [BEGIN_NS, NOW_NS], ids=["earlier", "at the same moment"])
def test_what_has_changed_in_each_way_changes_again_in_one_step(action: Action, earlier_ns: int) -> None:
    single, many = BulkBench(), BulkBench()
    for bench in (single, many):
        for timer_id in IDS:
            bench.do(("start", timer_id, 20, b"null", None, False), earlier_ns)
        for timer_id, what in zip(IDS, ("pause", "extend", "restart", "pause", "resume", "cancel"), strict=True):
            bench.do((what, timer_id, 0, b"", "k", False), earlier_ns)
        bench.do(("resume", IDS[3], 0, b"", None, False), earlier_ns)
        bench.turn()
    params = ChangeManyParams(action, ids=IDS[:5], key="m", seconds=7 if action == "extend" else None)

    page = change(many, IDS[:5], params)
    assert page == change(single, IDS[:5], params, OneByOne)
    assert sum(one.number for one in many.engine._ledger._packed) == page.changed > 0

    are_alike(many, single)


KEPT = ("pending", "ended", "traces", "deadlines", "counts", "last", "listed")
"""What a server that is started again holds as the one before did."""


def are_alike(many: BulkBench, single: BulkBench) -> None:
    """Both hold, tell and store the same, and so does what is restored from that; and whatever comes next does the same
    to both: changes with the same keys, and that all end and begin anew."""
    assert many.holds() == single.holds()
    assert many.turn() == single.turn()
    restored, held = many.restored().holds(), many.holds()
    assert restored == single.restored().holds()
    if restored["horizon"] == held["horizon"]:  # it may be stored with what comes next
        assert {part: restored[part] for part in KEPT} == {part: held[part] for part in KEPT}
    for bench in (many, single):
        bench.engine.limit_growth(None)
        for number, action in enumerate(ACTIONS):
            for timer_id in IDS:
                bench.do((action, timer_id, 0, b"", "kml"[number % 3], False), NOW_NS)
    assert many.turn() == single.turn()
    for seconds in (1, 100, 300):
        now_ns = NOW_NS + seconds * NS_PER_S
        assert many.engine.expire(now_ns, 100) == single.engine.expire(now_ns, 100)
    assert many.turn() == single.turn()
    many.start_again()
    single.start_again()
    assert many.turn() == single.turn()
    assert many.holds() == single.holds()


def in_one_step(bench: Bench, ids: list[str], params: ChangeManyParams) -> tuple[int, int, int]:
    """How many are changed, how many unchanged, and how many of those in one step."""
    page = change(bench, ids, params)
    return page.changed, page.unchanged, sum(one.number for one in bench.engine.take_changes().entries.packed)


def pending_bench() -> Bench:
    """Six timers of a minute that are stored, of which "b" is paused."""
    bench = Bench()
    for timer_id in IDS:
        bench.start(timer_id)
    bench.ask(PauseParams("b", key="k"))
    bench.commit()
    return bench


@pytest.mark.parametrize(
    ("action", "changed"), [("pause", 5), ("resume", 1), ("extend", 6), ("restart", 6), ("cancel", 6)]
)
def test_pending_timers_change_in_one_step_and_those_that_stay_as_they_are_hold_none_up(
    action: Action, changed: int
) -> None:
    params = ChangeManyParams(action, ids=IDS, key="l", seconds=5 if action == "extend" else None)

    assert in_one_step(pending_bench(), IDS, params) == (changed, 6 - changed, changed)


def test_cancelled_timers_leave_the_deadlines() -> None:
    bench = pending_bench()
    change(bench, IDS, ChangeManyParams("cancel", ids=IDS))

    deadlines = bench.engine._ledger._deadlines
    assert bench.engine.next_due_ns() is None
    assert len(deadlines) == deadlines._dead


def test_deadlines_are_built_anew_where_pages_leave_more_dead_than_living() -> None:
    bench = Bench()
    ids = sorted(f"t/{number}" for number in range(300))
    for timer_id in ids:
        bench.start(timer_id)
    for number in range(20):
        extend = ChangeManyParams("extend", ids=ids, seconds=1, key=f"{number}")
        assert in_one_step(bench, ids, extend) == (300, 0, 300)

    assert len(bench.engine._ledger._deadlines) < 5 * len(ids)
    assert bench.engine.expire(BEGIN_NS + 80 * NS_PER_S - 1, 1_000) == 0
    assert bench.engine.expire(BEGIN_NS + 80 * NS_PER_S, 1_000) == len(ids)


PAUSE = ChangeManyParams("pause", ids=IDS)


@pytest.mark.parametrize(
    ("ids", "params"),
    [
        pytest.param(["a", "a"], PAUSE, id="named twice"),
        pytest.param(["a", "x"], PAUSE, id="not there"),
        pytest.param(["a", "b"], ChangeManyParams("restart", ids=IDS, key="k"), id="has seen the key"),
        pytest.param(["a", "b"], ChangeManyParams("restart", ids=IDS, states=("running",), key="m"), id="not selected"),
        pytest.param(["a", "c"], ChangeManyParams("extend", ids=IDS, seconds=-60, key="m"), id="too short"),
        pytest.param(["a", "c"], ChangeManyParams("extend", ids=IDS, seconds=1e9, key="m"), id="too long"),
        pytest.param(["a", "c"], ChangeManyParams("extend", ids=IDS, seconds=0, key="m"), id="by nothing"),
        pytest.param(["a", "c"], ChangeManyParams("pause", ids=IDS, dry_run=True), id="only asked about"),
    ],
)
def test_what_is_no_plain_change_is_for_requests_of_their_own(ids: list[str], params: ChangeManyParams) -> None:
    assert in_one_step(pending_bench(), ids, params)[2] == 0


def test_where_the_disk_is_nearly_full_those_that_have_room_change_and_cancels_go_on() -> None:
    bench = pending_bench()
    bench.engine.limit_growth(2_500)

    page = change(bench, IDS, PAUSE)
    assert (page.changed, page.unchanged, len(page.refused)) == (2, 1, 3)
    assert in_one_step(bench, IDS, ChangeManyParams("cancel", ids=IDS)) == (6, 0, 6)


def test_what_is_changed_in_one_step_takes_room() -> None:
    bench = pending_bench()
    bench.engine.limit_growth(5_500)

    assert in_one_step(bench, IDS, PAUSE) == (5, 1, 5)
    assert bench.engine._room.left_bytes == 500


def test_a_trace_and_a_large_payload_are_logged_as_by_single_changes() -> None:
    bench = BulkBench()
    for timer_id, payload in (("a", b"null"), ("b", LARGE)):
        bench.start(timer_id, payload=payload)
    bench.ask(StartParams("c", seconds=60, trace=TRACE))
    bench.turn()

    change(bench, ["a", "b", "c"], PAUSE)
    turn = bench.turn()
    assert turn is not None
    assert [type(entry).__name__ for entry in turn[1].entries] == ["Countdown", "Countdown", "Traced"]
    assert [len(record) > 200 for record in turn[1].records] == [False, False, False]
    assert bench.restored().holds() == bench.holds()


def test_payloads_that_come_to_more_than_a_page_are_not_even_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench()
    for timer_id in IDS:
        bench.start(timer_id, payload=b'"' + 10_000 * b"x" + b'"')
    monkeypatch.setattr("timer_server.core.ledger.unpack_rows", lambda _: pytest.fail("they are unpacked"))

    page = change(bench, IDS, PAUSE, most_bytes=15_000)
    assert (page.changed, page.done) == (2, 2)


def test_a_record_has_little_besides_its_payload() -> None:
    """So a page is not left to single changes for what is no payload."""
    bench = Bench()
    bench.start("x" * 128, label="\U0001f600" * 256)
    for number in range(70):
        bench.ask(ExtendParams("x" * 128, seconds=1, key=f"{number:0128}"))
    bench.commit()

    assert bench.engine.bulk_changes.look_at(["x" * 128], PAUSE, len("null"), NOW_NS)
    assert not bench.engine.bulk_changes.look_at(["x" * 128], PAUSE, len("null") - 1, NOW_NS)


def test_in_two_shards_all_change_in_one_step_or_none_does() -> None:
    benches = pending_bench(), pending_bench()
    half = [range(0, 6, 2), range(1, 6, 2)]
    parts = [(Timers(bench.engine, NOW_NS, bench.log.event), at) for bench, at in zip(benches, half, strict=True)]

    assert change_many(lambda _: parts, IDS, PAUSE, 100) == Changed(5, 1, [], 6, 24)
    assert [sum(one.number for one in bench.engine.take_changes().entries.packed) for bench in benches] == [3, 2]


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("state", ["running", "paused"])
def test_no_pending_timer_is_refused_for_its_state(state: State, action: Action) -> None:
    assert not isinstance(TRANSITIONS[state, action], Refuse)


def test_each_action_has_its_effects_by_itself_and_in_columns() -> None:
    assert set(BULK_EFFECTS) == set(_CHANGES) == {request for request, _ in EFFECTS.values()} == set(ACTIONS)
