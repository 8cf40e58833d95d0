"""Loading shards: which log is read next, and what becomes of one that cannot be read, or is another's by now."""

from collections.abc import Callable
from typing import Any, cast

import pytest

from drivers.builders import LOG_ID, NS_PER_MS, Bench
from timer_server.cluster.outcomes import Loaded, Lost, ReadUp
from timer_server.core.ledger import LogEnds
from timer_server.loop.loading import Loading
from timer_server.store.base import StoreAway, StoreError
from timer_server.store.integrity import Damage
from timer_server.store.memory import MemoryStore
from timer_server.store.postgres import sentences
from timer_server.store.postgres.exchange import Steps
from timer_server.store.postgres.loads import Loads
from timer_server.store.postgres.own_session import Reply
from timer_server.store.postgres.store import PostgresStore
from timer_server.store.state import LogState


class Session:
    """Stands in for the session: what it reads, or fails with, is for the test to say."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.outcome: LogState | sentences.Fault | None = LogState(LOG_ID, ends=LogEnds(last_place=7), last_at_ms=5)
        self.is_open = True
        self.pause: Callable[[], bool] = lambda: False
        """Does a part of a loading; says whether there is more."""

    def loading(self, number: int, epoch: int, begin: Callable[..., Any], ahead: object) -> Steps[Reply[Any]]:
        self.asked.append(f"load {number} in {epoch}" + (" after reading ahead" if ahead else ""))
        yield None
        while self.pause():
            yield None
        if isinstance(self.outcome, Exception):
            raise self.outcome
        if self.outcome is not None:
            begin(self.outcome, None).finish()
        return Reply(self.outcome)

    def reading_ahead(self, number: int, goes_on: Callable[[], bool]) -> Steps[Reply[Any]]:
        self.asked.append(f"read {number} ahead")
        yield None
        if not goes_on():
            return Reply(None)
        return Reply(f"blocks of {number}")

    def is_lost(self) -> bool:
        return False

    def explain(self, fault: sentences.Fault) -> StoreError:
        return (StoreAway if isinstance(fault, sentences.Lost) else StoreError)(str(fault))

    def close(self) -> None:
        self.is_open = False


class Store(MemoryStore):
    def opened(self, _: int, state: LogState) -> Any:
        return state.header()


class Bed:
    """A server that loads shards one after the other."""

    def __init__(self) -> None:
        self.now_ns = 1
        self.session = Session()
        self.loading = Loading(
            cast("Loads", self.session),
            lambda _: cast("PostgresStore", Store(LOG_ID)),
            lambda *_: Bench().shard,
            lambda: self.now_ns,
        )

    def begin_to_read_ahead(self, number: int) -> None:
        """Reads as far as there is time in one step."""
        self.loading.read_ahead(number)
        begun_ns, self.now_ns = self.now_ns, self.now_ns + 3 * NS_PER_MS
        assert self.loading.step(begun_ns) is None

    def outcomes(self) -> list[object]:
        """What comes of all that can be done now."""
        outcomes = [self.loading.step(self.now_ns) for _ in range(10)]
        return [outcome for outcome in outcomes if outcome is not None]


def test_what_is_owned_is_read_before_what_is_only_offered_and_with_what_was_read_ahead() -> None:
    bed = Bed()
    bed.loading.read_ahead(1)
    assert bed.outcomes() == [ReadUp(1)]
    bed.loading.read_ahead(2)
    bed.loading.begin(1, 3)
    bed.loading.begin(4, 5)

    assert bed.outcomes() == [Loaded(1, 3, 7, 5 * NS_PER_MS), Loaded(4, 5, 7, 5 * NS_PER_MS), ReadUp(2)]
    assert bed.session.asked == ["read 1 ahead", "load 1 in 3 after reading ahead", "load 4 in 5", "read 2 ahead"]
    assert bed.loading.loaded.keys() == {1, 4}
    assert bed.loading.next_due_ns() is None


def test_reading_ahead_goes_on_where_the_shard_is_given_and_makes_way_for_another() -> None:
    bed = Bed()
    bed.begin_to_read_ahead(1)
    bed.loading.begin(1, 3)
    assert bed.outcomes() == [Loaded(1, 3, 7, 5 * NS_PER_MS)]
    assert bed.session.asked == ["read 1 ahead", "load 1 in 3 after reading ahead"]
    bed.begin_to_read_ahead(2)
    bed.loading.begin(4, 5)
    assert bed.outcomes() == [Loaded(4, 5, 7, 5 * NS_PER_MS), ReadUp(2)]
    assert bed.session.is_open  # a new session would cost more than is won


@pytest.mark.parametrize(
    "fault",
    [
        sentences.Lost("the connection is lost"),
        sentences.Failed("XX000", "something that nobody has thought of"),
        sentences.Unfit("password authentication failed"),
    ],
)
def test_whatever_fails_is_tried_again_in_a_new_session_and_damage_is_not(
    fault: sentences.Fault, caplog: pytest.LogCaptureFixture
) -> None:
    bed = Bed()
    bed.loading.begin(1, 3)
    bed.session.outcome = fault
    for _ in range(2):
        assert bed.outcomes() == []
        bed.now_ns += 100 * NS_PER_MS
    assert len(bed.loading) == 1
    assert len(bed.session.asked) == 2
    assert not bed.session.is_open
    (record,) = caplog.records  # it is not said each time
    assert record.fields == {"reason": str(fault)}  # type: ignore[attr-defined]
    bed.session.outcome = Damage("entry 5 is missing")
    bed.now_ns += 100 * NS_PER_MS
    (refused,) = bed.outcomes()

    assert isinstance(refused, Loaded)
    assert refused.last_place < 0
    assert len(bed.loading) == len(bed.loading.loaded) == 0


def test_a_shard_in_another_epoch_is_lost_and_one_that_is_forgotten_is_heard_of_no_more() -> None:
    bed = Bed()
    bed.session.outcome = None
    bed.loading.begin(1, 3)
    assert bed.outcomes() == [Lost(1)]
    bed.loading.begin(2, 3)
    bed.loading.step(bed.now_ns)
    bed.loading.forget(2)

    assert bed.outcomes() == []


def test_a_shard_that_is_owned_gets_half_of_the_time_where_the_loop_is_busy_and_ten_ms_a_turn_at_most() -> None:
    bed = Bed()

    def take_a_millisecond() -> bool:
        bed.now_ns += NS_PER_MS
        return True

    bed.session.pause = take_a_millisecond
    bed.loading.begin(1, 3)
    bed.loading.step(bed.now_ns)
    took_ms = []
    for others_ms in (0, 1, 6, 50):
        bed.now_ns += others_ms * NS_PER_MS
        begun_ns = bed.now_ns
        bed.loading.step(begun_ns)
        took_ms.append((bed.now_ns - begun_ns) // NS_PER_MS)

    assert took_ms == [2, 2, 6, 10]
