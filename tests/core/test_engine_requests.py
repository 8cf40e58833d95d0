"""What requests are answered: repeats, conflicts, limits, and refusals that change nothing."""

from collections.abc import Callable

import pytest
from msgspec import UNSET

from core.refusals import code, refusal
from drivers.builders import BEGIN_NS, NS_PER_S, Bench
from timer_protocol.errors import ErrorCode, Refusal
from timer_protocol.messages import CancelParams, ExtendParams, GetParams, PauseParams, RestartParams, ResumeParams
from timer_server.core.engine import TimerParams
from timer_server.limits import KEYS_REMEMBERED

LATER_NS = BEGIN_NS + NS_PER_S


class TestStart:
    def test_same_request_again_returns_the_timer_that_is_there(self) -> None:
        bench = Bench()
        first = bench.start(seconds=90, label="tea", payload=b'{"a": [1, 2], "b": null}')

        again = bench.start(now_ns=LATER_NS, seconds=90, label="tea", payload=b'{"b":null,"a":[1,2]}')

        assert again == first
        assert bench.commit() == ["started"]

    def test_same_amounts_as_other_numbers_are_the_same_request(self) -> None:
        bench = Bench()

        assert bench.start(seconds=90) == bench.start(seconds=90.0)

    @pytest.mark.parametrize(
        "other",
        [
            {"seconds": 91},
            {"minutes": 1, "seconds": 30},
            {"seconds": 90, "label": "coffee"},
            {"seconds": 90, "payload": b"2"},
            {"seconds": 90, "payload": b"true"},
            {"seconds": 90, "payload": b"[1]"},
        ],
        ids=repr,
    )
    def test_another_request_with_the_same_id_is_a_conflict(self, other: dict[str, object]) -> None:
        bench = Bench()
        bench.start(seconds=90, payload=b"1")

        conflict = refusal(lambda: bench.start(**{"payload": b"1", **other}))  # type: ignore[arg-type]

        assert (conflict.code, conflict.help["state"]) == (ErrorCode.ID_CONFLICT, "running")
        assert "restart runs it again as it was, another id starts another" in conflict.reason

    def test_a_conflict_with_one_that_has_ended_says_when_and_how_long_it_is_remembered(self) -> None:
        bench = Bench()
        bench.start("eggs", seconds=90)
        bench.ask(CancelParams("eggs"), now_ns=LATER_NS)
        bench.commit()

        conflict = refusal(lambda: bench.start("eggs", now_ns=LATER_NS + 5 * NS_PER_S, seconds=91))

        assert (conflict.code, conflict.help["state"]) == (ErrorCode.ID_CONFLICT, "cancelled")
        assert conflict.reason == (
            "timer 'eggs' exists with other hours, minutes, seconds, at, zone, label or payload: it was cancelled 5 s "
            "ago, and is remembered for 86400 s (TIMER_RETENTION_S); "
            "restart runs it again as it was, another id starts another"
        )

    def test_retry_returns_a_timer_that_has_ended_or_was_changed_meanwhile(self) -> None:
        bench = Bench()
        bench.start()
        bench.ask(ExtendParams("a", minutes=1))
        bench.ask(CancelParams("a"))
        bench.commit()

        assert bench.start().state == "cancelled"
        assert bench.commit() == []

    @pytest.mark.parametrize("timer_id", ["a b", "a\n", "é", "a~"])
    def test_id_with_other_characters_is_refused(self, timer_id: str) -> None:
        assert code(lambda: Bench().start(timer_id)) is ErrorCode.INVALID_PARAMS

    def test_absent_id_is_made_from_the_time(self) -> None:
        bench = Bench()

        assert bench.start(None).id == f"{BEGIN_NS // 1_000_000}/1"
        assert bench.start(None).id == f"{BEGIN_NS // 1_000_000}/2"

    @pytest.mark.parametrize("amounts", [{"seconds": 0}, {"seconds": 0.0004}, {"seconds": 60.001}, {"hours": 1e308}])
    def test_no_time_and_too_much_are_refused(self, amounts: dict[str, float]) -> None:
        bench = Bench(max_duration_s=60)

        assert code(lambda: bench.start(**amounts)) is ErrorCode.INVALID_PARAMS  # type: ignore[arg-type]
        assert bench.start(seconds=60).duration_ms == 60_000

    @pytest.mark.parametrize("payload", [b"1e999", b"[-1e999]", b"1" * 5000, b"[" * 30_000 + b"]" * 30_000])
    def test_payload_that_readers_cannot_take_is_refused(self, payload: bytes) -> None:
        assert code(lambda: Bench().start(payload=payload)) is ErrorCode.INVALID_PARAMS

    @pytest.mark.parametrize(("opened", "closed"), [(b"[", b"]"), (b'{"a":', b"}"), (b'[{"a":', b"}]")])
    def test_payload_may_be_nested_to_its_limit_and_no_deeper(self, opened: bytes, closed: bytes) -> None:
        bench = Bench()
        levels = 100 // (opened.count(b"[") + opened.count(b"{"))
        bench.start("fits", payload=opened * levels + b"1" + closed * levels)

        assert code(lambda: bench.start("over", payload=b"[" + opened * levels + b"1" + closed * levels + b"]")) is (
            ErrorCode.INVALID_PARAMS
        )

    def test_payload_may_hold_many_objects_and_brackets_beside_one_another(self) -> None:
        bench = Bench()

        bench.start("objects", payload=b"[" + b"{}," * 500 + b"[]]")
        bench.start("text", payload=b'"' + b"[{" * 500 + b'"')

    @pytest.mark.parametrize("depth", [100, 101, 900, 1000, 1500, 3000])
    def test_deep_payload_is_taken_again_and_again_or_never(self, depth: int) -> None:
        bench = Bench()
        taken = set()
        for space in (b"", b" ", b"  "):
            try:
                bench.start(payload=b"[" * depth + space + b"]" * depth)
                taken.add(True)
            except Refusal:
                taken.add(False)

        assert taken == {depth <= 100}

    def test_payload_at_its_limit_is_taken_and_one_byte_more_is_not(self) -> None:
        bench = Bench(max_payload_bytes=10)
        bench.start("fits", payload=b'"12345678"')

        refused = refusal(lambda: bench.start("over", payload=b'"123456789"'))

        assert (refused.code, refused.help) == (
            ErrorCode.LIMIT_REACHED,
            {"limit": "max_payload_bytes", "maximum": 10, "scope": "server", "later": False},
        )


class TestKeys:
    def test_repeated_key_changes_nothing(self) -> None:
        bench = Bench()
        bench.start()
        first = bench.ask(ExtendParams("a", seconds=30, key="k"))

        again = bench.ask(ExtendParams("a", seconds=30, key="k"), LATER_NS)

        assert again == first
        assert bench.commit() == ["started", "extended"]

    @pytest.mark.parametrize(
        ("there", "back", "state"),
        [
            (PauseParams("a", "k"), ResumeParams("a"), "running"),
            (CancelParams("a", "k"), RestartParams("a"), "running"),
            (ResumeParams("a", "k"), PauseParams("a"), "paused"),
        ],
    )
    def test_a_late_copy_does_not_undo_what_came_after(
        self, there: PauseParams | CancelParams | ResumeParams, back: TimerParams, state: str
    ) -> None:
        bench = Bench()
        bench.start()
        if isinstance(there, ResumeParams):
            bench.ask(PauseParams("a"))
        bench.ask(there)
        bench.ask(back)
        version = bench.ask(GetParams("a")).version

        assert (bench.ask(there).state, bench.ask(there).version) == (state, version)

    def test_another_key_or_none_extends_once_more(self) -> None:
        bench = Bench()
        bench.start()
        for key in ("k", "l", None, None):
            timer = bench.ask(ExtendParams("a", seconds=30, key=key))

        assert timer.duration_ms == 60_000 + 4 * 30_000

    def test_retry_of_a_restart_finds_the_timer_even_after_it_has_ended(self) -> None:
        bench = Bench()
        bench.start()
        bench.ask(RestartParams("a", "k"))
        bench.ask(CancelParams("a"))
        bench.commit()

        assert bench.ask(RestartParams("a", "k")).state == "cancelled"
        assert bench.ask(ExtendParams("a", seconds=1, key="k")).state == "cancelled"
        assert bench.ask(RestartParams("a", "l")).state == "running"

    def test_key_of_a_refused_change_can_be_used_again(self) -> None:
        bench = Bench()
        bench.start()
        assert code(lambda: bench.ask(ExtendParams("a", hours=-1, key="k"))) is ErrorCode.INVALID_PARAMS

        assert bench.ask(ExtendParams("a", seconds=30, key="k")).duration_ms == 90_000

    def test_only_the_latest_keys_are_remembered(self) -> None:
        bench = Bench()
        bench.start()
        for number in range(KEYS_REMEMBERED + 1):
            bench.ask(ExtendParams("a", seconds=1, key=f"k{number}"))

        timer = bench.ask(ExtendParams("a", seconds=1, key="k1"))
        assert bench.ask(ExtendParams("a", seconds=1, key="k0")).duration_ms == timer.duration_ms + 1000


class TestExtend:
    @pytest.mark.parametrize(
        "amounts",
        [
            {"seconds": 0},
            {"seconds": 0.0004},
            {"minutes": 1, "seconds": -60},
            {"minutes": -1},
            {"seconds": -59.5, "minutes": -0.5},
            {"seconds": 0.001, "hours": 1},
            {"hours": 1e308},
            {"hours": 1e308, "minutes": -1e308},
            {"hours": -(10**4299)},
            {"hours": 10**4299, "seconds": 0.5},
        ],
        ids=lambda amounts: ascii(amounts)[:50],
    )
    @pytest.mark.parametrize("is_paused", [False, True])
    def test_no_change_all_the_time_and_too_much_are_refused(self, amounts: dict[str, float], is_paused: bool) -> None:
        bench = Bench(max_duration_s=3659)
        before = bench.start()
        if is_paused:
            before = bench.ask(PauseParams("a"))

        assert code(lambda: bench.ask(ExtendParams("a", **amounts))) is ErrorCode.INVALID_PARAMS  # type: ignore[arg-type]
        assert bench.get() == before

    def test_up_to_the_maximum_is_allowed(self) -> None:
        bench = Bench(max_duration_s=3659)
        bench.start()

        assert bench.ask(ExtendParams("a", hours=1, seconds=-1)).duration_ms == 3_659_000

    @pytest.mark.parametrize("by_s", [-59, -60, -1000])
    def test_refusal_tells_what_is_left(self, by_s: float) -> None:
        bench = Bench()
        bench.start()

        refused = refusal(lambda: bench.ask(ExtendParams("a", seconds=by_s), LATER_NS))

        assert refused.help["remaining_ms"] == 59_000

    def test_only_what_is_left_counts_against_the_maximum(self) -> None:
        bench = Bench(max_duration_s=60)
        bench.start()

        assert bench.ask(ExtendParams("a", seconds=1), LATER_NS).duration_ms == 61_000
        assert code(lambda: bench.ask(ExtendParams("a", seconds=0.001), LATER_NS)) is ErrorCode.INVALID_PARAMS


REFUSED: dict[str, Callable[[Bench], object]] = {
    "not there": lambda bench: bench.ask(GetParams("nobody")),
    "conflict": lambda bench: bench.start("running", seconds=1),
    "wrong state": lambda bench: bench.ask(PauseParams("ended")),
    "no time": lambda bench: bench.start("new", seconds=0),
    "no room": lambda bench: bench.start("new"),
    "bad id": lambda bench: bench.start("n e w"),
    "too short": lambda bench: bench.ask(ExtendParams("running", hours=-9)),
    "no room to restart": lambda bench: bench.ask(RestartParams("ended")),
}


class TestRefusals:
    @pytest.mark.parametrize("ask", REFUSED.values(), ids=REFUSED.keys())
    def test_nothing_has_changed(self, ask: Callable[[Bench], object]) -> None:
        bench = Bench(max_timers=2)
        bench.start("ended")
        bench.ask(CancelParams("ended"))
        bench.start("running")
        bench.start("paused")
        bench.ask(PauseParams("paused"))
        bench.commit()
        before = (bench.engine.counts(), bench.engine.last_seq, bench.engine.next_due_ns())

        refusal(lambda: ask(bench))

        assert bench.commit() == []
        assert (bench.engine.counts(), bench.engine.last_seq, bench.engine.next_due_ns()) == before

    def test_timer_that_is_not_there_is_named(self) -> None:
        refused = refusal(lambda: Bench().get("nobody"))

        assert (refused.code, refused.help) == (ErrorCode.TIMER_NOT_FOUND, {"id": "nobody"})

    def test_wrong_state_tells_which(self) -> None:
        bench = Bench()
        bench.start()
        bench.ask(CancelParams("a"))

        refused = refusal(lambda: bench.ask(PauseParams("a")))

        assert (refused.code, refused.help) == (ErrorCode.WRONG_STATE, {"id": "a", "state": "cancelled"})


def test_view_is_the_whole_timer() -> None:
    bench = Bench()
    timer = bench.start("order/42", hours=1, minutes=0.5, seconds=0.25, label="Tee", payload=b'{"to":"you"}')

    view = timer.view(BEGIN_NS // 1_000_000 + 250)
    assert bytes(view.payload) == b'{"to":"you"}'
    assert {name: getattr(view, name) for name in view.__struct_fields__ if name != "payload"} == {
        "id": "order/42",
        "label": "Tee",
        "state": "running",
        "hours": 1,
        "minutes": 0.5,
        "seconds": 0.25,
        "duration_ms": 3_630_250,
        "remaining_ms": 3_630_000,
        "started_at_ms": 1_700_000_000_000,
        "due_at_ms": 1_700_003_630_250,
        "ended_at_ms": None,
        "version": 1,
        "at": UNSET,
        "zone": UNSET,
    }
