"""Many timers at once come to what as many single requests come to, one after the other at the same moment."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw
from msgspec.structs import replace

from drivers.builders import BEGIN_NS, NS_PER_S, Bench
from timer_protocol.errors import ErrorCode, Refusal
from timer_protocol.many import Action, ChangeManyParams, StartManyParams
from timer_protocol.messages import STATES, CancelParams, GetParams, ListParams, StartParams
from timer_server.core.many import _CHANGES, PartsOf, Timers, change_many, select, start_many
from timer_server.core.model import STARTED, Countdown, Recall

LATER_NS = BEGIN_NS + 5 * NS_PER_S + 1
IDS = ["a", "a/1", "a/2", "b", "c"]

ids = st.sampled_from(IDS)
new_ids = st.sampled_from([*IDS, "d", "no id", "", "x" * 129])
some_seconds = st.sampled_from([1, 60, 60, 60, 0, -1, 0.0001, 10_000_000])
labels = st.sampled_from(["", "", "tea", "x" * 257])
payloads = st.sampled_from(
    [b"null", b"null", b'{"a":1}', b'{ "a":1}', b"1e999", b'"' + 300 * b"x" + b'"', b"[" * 101 + b"]" * 101]
)
actions: st.SearchStrategy[Action] = st.sampled_from(["pause", "resume", "cancel", "extend", "restart"])
keys = st.none() | st.sampled_from(["k", "l"])
earlier_requests = st.lists(
    st.tuples(ids, st.sampled_from(["start", "pause", "cancel", "restart", "commit"]), st.sampled_from([1, 5, 6, 60])),
    max_size=12,
)
"""What has happened before. Those of 5 s or less are due, or nearly, when many are asked for, and no turn has come."""


def bench_after(earlier: list[tuple[str, Any, int]], max_timers: int = 4, below_a: int | None = 1) -> Bench:
    bench = Bench(max_timers=max_timers, max_duration_s=3600, max_payload_bytes=310)
    bench.engine.places.share_out({} if below_a is None else {"a/": below_a})
    for timer_id, do, seconds in earlier:
        try:
            if do == "start":
                bench.start(timer_id, seconds=seconds)
            elif do == "commit":
                bench.commit()
            else:
                bench.ask(_CHANGES[do](timer_id, ChangeManyParams("pause", key="k")))
        except Refusal:
            pass
    return bench


def outcome(bench: Bench, params: Any) -> tuple[Any, Countdown | None]:
    """The error of a single request, if it gets one, and else the timer after it."""
    try:
        return None, bench.ask(params, LATER_NS)
    except Refusal as refusal:
        return refusal.to_error(), None


def test_what_cannot_be_refused_is_started_in_one_step() -> None:
    bench = bench_after([], 20, None)
    rows = StartManyParams(["a", "b"], [60, 1.5], ["", "ü" * 256], [Raw(b"[1]"), Raw(b'"' + 300 * b"x" + b'"')])
    assert start_many(parts_of(bench), rows).started == 2
    assert bench.engine.take_changes().entries.packed == [(0, 2, STARTED, None)]


def parts_of(bench: Bench, now_ns: int = LATER_NS) -> PartsOf:
    """Finds all timers in a server of one shard."""
    return lambda ids: [(Timers(bench.engine, now_ns, bench.log.event), range(len(ids)))]


def everything(bench: Bench) -> Any:
    """What the next commit writes, and how many timers there are."""
    return bench.engine.take_changes(), bench.engine.counts()


Rows = list[tuple[str, Any, str, bytes]]

any_rows = st.lists(st.tuples(new_ids, some_seconds, labels, payloads), max_size=8)
new_rows = st.lists(
    st.tuples(
        st.sampled_from([*IDS, "d", "e" * 128, "f.:/-"]),
        st.sampled_from([60, 0.0006, 3600, 1.5]),
        st.sampled_from(["", "tea", "ü" * 256]),
        st.sampled_from([b"null", b'{"a":[1]}', b'"' + 300 * b"x" + b'"', b"[" * 100 + b"]" * 100]),
    ),
    unique_by=lambda row: row[0],
    max_size=8,
)
"""Rows of which none has to be refused for what it is: they are started in one step, unless one is known or has no
place."""


@given(earlier_requests, any_rows | new_rows, st.booleans(), st.sampled_from([(4, 1), (4, None), (20, None)]))
def test_starting_many_is_as_many_starts(
    earlier: list[tuple[str, Any, int]], rows: Rows, is_one_number: bool, limits: tuple[int, int | None]
) -> None:
    one, many = bench_after(earlier, *limits), bench_after(earlier, *limits)
    if is_one_number:
        rows = [(row[0], 60, *row[2:]) for row in rows]
    started, existing, refused = 0, [], {}
    for index, (timer_id, seconds, label, payload) in enumerate(rows):
        if len(label) > 256:  # which the decoder refuses
            refused[index] = int(ErrorCode.INVALID_PARAMS)
            continue
        seq = one.engine.last_seq
        error, timer = outcome(one, StartParams(timer_id, 0, 0, seconds, label, Raw(payload)))
        if error is not None:
            refused[index] = error.code
        elif timer is not None and (timer.kind_number, timer.seq) == (STARTED, seq + 1):
            started += 1
        else:
            existing.append(index)

    params = StartManyParams(
        [row[0] for row in rows],
        60 if is_one_number else [row[1] for row in rows],
        [row[2] for row in rows],
        [Raw(row[3]) for row in rows],
    )
    result = start_many(parts_of(many), params)

    assert (result.started, result.existing) == (started, existing)
    assert {start.index: start.error.code for start in result.refused} == refused
    assert everything(many) == everything(one)


asked_changes = st.builds(
    ChangeManyParams,
    action=actions,
    states=st.sets(st.sampled_from(STATES), min_size=1).map(tuple),
    seconds=st.sampled_from([1, -1, 0, 60, -60, 1e9]),
    limit=st.integers(1, 6),
    key=keys,
).map(
    lambda params: replace(
        params,
        seconds=params.seconds if params.action == "extend" else None,
        key=params.key or ("k" if params.action in ("extend", "restart") else None),
    )
)


def pages(bench: Bench, params: ChangeManyParams) -> tuple[int, int, list[str]]:
    """What all pages come to: how many are changed, how many unchanged, and which are refused."""
    changed, unchanged, refused = 0, 0, []
    while True:
        selection = select(bench.list_page, params, 6)
        page = change_many(parts_of(bench), selection.ids, params, 10_000)
        changed, unchanged = changed + page.changed, unchanged + page.unchanged
        refused += [change.id for change in page.refused]
        following = selection.next_after(page.done)
        if following is None:
            return changed, unchanged, refused
        assert following > (params.after or "")
        params = replace(params, after=following)


def tally(bench: Bench, params: ChangeManyParams, ids: list[str]) -> tuple[int, int, list[str]]:
    """The same for single changes of these ids."""
    changed, unchanged, refused = 0, 0, []
    for timer_id in ids:
        error, before = outcome(bench, GetParams(timer_id))
        seq = bench.engine.last_seq
        if before is not None and before.state not in params.states and params.ids is None:
            continue
        if error is None:
            error, _ = outcome(bench, _CHANGES[params.action](timer_id, params))
        if error is not None:
            refused.append(timer_id)
        elif bench.engine.last_seq > seq:
            changed += 1
        else:
            unchanged += 1
    return changed, unchanged, refused


@given(earlier_requests, asked_changes, st.lists(st.sampled_from([*IDS, "d"]), max_size=8))
def test_changing_many_by_their_ids_is_as_many_changes(
    earlier: list[tuple[str, Any, int]], asked: ChangeManyParams, ids: list[str]
) -> None:
    one, many = bench_after(earlier), bench_after(earlier)
    params = replace(asked, ids=ids, states=STATES)

    assert pages(many, params) == tally(one, params, sorted(set(ids)))
    assert everything(many) == everything(one)


@given(earlier_requests, asked_changes, st.sampled_from(["", "a", "a/", "x"]))
def test_changing_many_below_a_prefix_is_as_many_changes(
    earlier: list[tuple[str, Any, int]], asked: ChangeManyParams, prefix: str
) -> None:
    one, many = bench_after(earlier), bench_after(earlier)
    params = replace(asked, prefix=prefix)
    listing = one.list_page(ListParams(prefix, states=params.states))
    met = [one.log.event(entry.place) if isinstance(entry, Recall) else entry for entry in listing.entries]

    assert pages(many, params) == tally(one, params, [timer.id for timer in met])
    assert everything(many) == everything(one)


@given(earlier_requests, asked_changes, st.none() | st.lists(ids, max_size=8))
def test_a_dry_run_says_what_would_change_and_changes_nothing(
    earlier: list[tuple[str, Any, int]], asked: ChangeManyParams, ids: list[str] | None
) -> None:
    real, dry, left_alone = (bench_after(earlier) for _ in range(3))
    params = replace(asked, ids=ids, prefix="" if ids is None else None, limit=6)

    assert pages(dry, replace(params, dry_run=True)) == pages(real, params)
    for bench in (dry, left_alone):
        bench.engine.expire(LATER_NS, 100)
    assert dry.engine.counts() == left_alone.engine.counts()
    assert dry.engine.last_seq == left_alone.engine.last_seq


@given(earlier_requests, asked_changes, st.lists(ids, max_size=8))
def test_a_timer_that_is_named_and_in_another_state_is_refused_unless_it_would_stay_as_it_is(
    earlier: list[tuple[str, Any, int]], asked: ChangeManyParams, ids: list[str]
) -> None:
    bench, free, states = bench_after(earlier), bench_after(earlier), asked.states
    others = [i for i in sorted(set(ids)) if (timer := outcome(free, GetParams(i))[1]) and timer.state not in states]
    one_by_one = [pages(free, replace(asked, ids=[i], states=STATES, dry_run=True)) for i in others]

    _, unchanged, refused = pages(bench, replace(asked, ids=others))

    assert refused == [i for i, would_be in zip(others, one_by_one, strict=True) if would_be[1] == 0]
    assert unchanged == len(others) - len(refused)


@pytest.mark.parametrize("is_dry", [False, True])
def test_a_timer_that_is_refused_for_its_state_takes_no_place_from_the_next(is_dry: bool) -> None:
    bench = Bench(max_timers=1)
    bench.start("a")
    bench.ask(CancelParams("a"))
    bench.start("a2")
    bench.engine.expire(LATER_NS + 3600 * NS_PER_S, 1)

    restart = ChangeManyParams("restart", ids=["a", "a2"], states=("fired",), key="k", dry_run=is_dry)

    assert pages(bench, restart) == (1, 0, ["a"])


def test_same_key_again_changes_nothing_and_another_does() -> None:
    bench = Bench()
    for timer_id in IDS:
        bench.start(timer_id)
    extend = ChangeManyParams("extend", prefix="a", seconds=5, key="k", limit=2)

    assert pages(bench, extend) == (3, 0, [])
    assert pages(bench, extend) == (0, 3, [])
    assert pages(bench, replace(extend, key="l")) == (3, 0, [])
    assert [bench.get(timer_id).duration_ms for timer_id in ("a", "a/2", "b")] == [70_000, 70_000, 60_000]


def test_page_ends_where_payloads_come_to_its_bytes() -> None:
    bench = Bench()
    for timer_id in IDS:
        bench.start(timer_id, payload=b'"' + 98 * b"x" + b'"')

    timers = parts_of(bench, BEGIN_NS)
    params = ChangeManyParams("pause", prefix="")
    selection = select(bench.list_page, params, 100)
    page = change_many(timers, selection.ids, params, 150)

    assert (page.changed, selection.next_after(page.done), page.payload_bytes) == (2, "a/1", 200)


def test_one_that_is_forgotten_before_its_turn_is_no_refusal_unless_it_was_named() -> None:
    bench = Bench()
    by_prefix, by_ids = ChangeManyParams("pause", prefix=""), ChangeManyParams("pause", ids=["gone"])

    assert change_many(parts_of(bench), ["gone"], by_prefix, 100) == (0, 0, [], 1, 0)
    assert [one.id for one in change_many(parts_of(bench), ["gone"], by_ids, 100).refused] == ["gone"]


@pytest.mark.parametrize(
    ("params", "fault"),
    [
        ({"action": "pause"}, "exactly one of prefix"),
        ({"action": "pause", "prefix": "", "ids": []}, "exactly one of prefix"),
        ({"action": "extend", "prefix": "", "seconds": 1}, "extend needs a key"),
        ({"action": "restart", "prefix": ""}, "restart needs a key"),
        ({"action": "extend", "prefix": "", "key": "k"}, "extend needs seconds"),
        ({"action": "pause", "prefix": "", "seconds": 1}, "seconds is for extend; pause takes none"),
    ],
)
def test_params_that_make_no_sense_together_change_nothing(params: dict[str, Any], fault: str) -> None:
    bench = Bench()
    bench.start("a")
    with pytest.raises(Refusal, match=fault):
        select(bench.list_page, ChangeManyParams(**params), 100)
    assert bench.get("a").version == 1
