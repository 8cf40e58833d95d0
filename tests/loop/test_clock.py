"""The timeline: elapsed time moves it, whatever anybody sets the wall clock to, and restarts lose none of it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from timer_server.loop.clock import OFFSET_NOTED_MS, Boot, BootNs, Clock, Sources, WallNs, system_sources
from timer_server.store.base import Anchor

NS_PER_MS = 1_000_000
SECOND_NS = 1_000_000_000
HOUR_NS = 3600 * SECOND_NS
DAY_NS = 24 * HOUR_NS
BEGIN_NS = 1_700_000_000 * SECOND_NS

STEPS = [-DAY_NS, -HOUR_NS, -SECOND_NS, SECOND_NS, HOUR_NS, DAY_NS]


class Machine:
    """A computer: time passes, somebody sets its clock, it is booted anew, and the server on it starts and stops.

    `offset_ns` is that of the server's time namespace, which it may see or not.
    """

    def __init__(self) -> None:
        self.boots = 0
        self.boot_ns = 77 * SECOND_NS
        self.offset_ns = 0
        self.shows_offset = True
        self.wall_ns = BEGIN_NS
        self.anchor: Anchor | None = None
        self.last_known_ns = 0

    def pass_time(self, ns: int) -> None:
        self.boot_ns += ns
        self.wall_ns += ns

    def set_clock(self, by_ns: int) -> None:
        self.wall_ns += by_ns

    def reboot(self, off_ns: int = 0) -> None:
        self.boots += 1
        self.boot_ns = 3 * SECOND_NS
        self.wall_ns += off_ns

    def move(self, offset_ns: int, shows_offset: bool = True) -> None:
        """The server goes on in another time namespace."""
        self.offset_ns, self.shows_offset = offset_ns, shows_offset

    def boot(self) -> Boot:
        return Boot(f"boot {self.boots}", self.offset_ns if self.shows_offset else None)

    def start(self) -> Clock:
        """A server's clock, whose anchor is stored as the server does it."""
        sources = Sources(self.boot, lambda: BootNs(self.boot_ns + self.offset_ns), lambda: WallNs(self.wall_ns))
        clock = Clock(sources, self.anchor, self.last_known_ns)
        self.look(clock)
        return clock

    def look(self, clock: Clock) -> None:
        """What the server does once a second."""
        self.anchor = clock.new_anchor() or self.anchor
        self.last_known_ns = clock.now_ns()


@pytest.fixture
def machine() -> Machine:
    return Machine()


class TestInOneProcess:
    def test_timeline_begins_at_the_wall_clock(self, machine: Machine) -> None:
        assert machine.start().now_ns() == BEGIN_NS

    @pytest.mark.parametrize("step_ns", STEPS)
    def test_setting_the_wall_clock_does_not_move_it(self, machine: Machine, step_ns: int) -> None:
        clock = machine.start()
        machine.pass_time(5 * SECOND_NS)
        machine.set_clock(step_ns)
        machine.pass_time(5 * SECOND_NS)

        assert clock.now_ns() == BEGIN_NS + 10 * SECOND_NS
        assert machine.wall_ns - clock.now_ns() == step_ns

    @given(st.lists(st.tuples(st.integers(0, DAY_NS), st.integers(-DAY_NS, DAY_NS)), max_size=20))
    def test_it_is_the_sum_of_what_has_elapsed(self, passed: list[tuple[int, int]]) -> None:
        machine = Machine()
        clock = machine.start()
        for elapsed_ns, step_ns in passed:
            machine.pass_time(elapsed_ns)
            machine.set_clock(step_ns)
            machine.look(clock)

        assert clock.now_ns() == BEGIN_NS + sum(elapsed_ns for elapsed_ns, _ in passed)


class TestWaiting:
    def test_ends_when_the_moment_has_come_and_not_before(self, machine: Machine) -> None:
        looks = 0

        def boot_ns() -> BootNs:
            nonlocal looks
            looks += 1
            return BootNs(machine.boot_ns + looks * 1000)

        clock = Clock(Sources(machine.boot, boot_ns, lambda: WallNs(machine.wall_ns)), None)
        moment_ns = clock.now_ns() + 20_000

        assert moment_ns <= clock.wait_until(moment_ns) < moment_ns + 1000

    def test_for_what_has_passed_ends_at_once(self, machine: Machine) -> None:
        assert machine.start().wait_until(BEGIN_NS - HOUR_NS) == BEGIN_NS

    def test_of_the_machine_sleeps_and_is_never_early(self) -> None:
        clock = Clock(system_sources(), None)
        moment_ns = clock.now_ns() + NS_PER_MS

        assert clock.wait_until(moment_ns) >= moment_ns


class TestRestartInOneBoot:
    @pytest.mark.parametrize("step_ns", STEPS)
    def test_time_that_elapsed_meanwhile_counts_and_the_wall_clock_does_not(
        self, machine: Machine, step_ns: int
    ) -> None:
        machine.start()
        machine.pass_time(HOUR_NS)
        machine.set_clock(step_ns)
        machine.pass_time(HOUR_NS)

        assert machine.start().now_ns() == BEGIN_NS + 2 * HOUR_NS

    def test_several_restarts_lose_nothing(self, machine: Machine) -> None:
        for step_ns in STEPS:
            clock = machine.start()
            machine.pass_time(SECOND_NS)
            machine.set_clock(step_ns)
            machine.look(clock)
            machine.pass_time(SECOND_NS)

        assert machine.start().now_ns() == BEGIN_NS + 2 * len(STEPS) * SECOND_NS

    def test_a_boot_id_that_comes_back_with_less_time_counts_as_a_reboot(self, machine: Machine) -> None:
        """As when a virtual machine is set back to a snapshot."""
        machine.start()
        machine.boot_ns -= SECOND_NS
        machine.wall_ns += HOUR_NS

        assert machine.start().now_ns() == BEGIN_NS + HOUR_NS


class TestRestartInAnotherTimeNamespace:
    """Its boot id is the same, its boot clock is not."""

    @pytest.mark.parametrize("offset_ns", [-DAY_NS, -SECOND_NS, SECOND_NS, 2 * DAY_NS])
    def test_what_elapsed_counts_and_the_offset_does_not(self, machine: Machine, offset_ns: int) -> None:
        machine.start()
        machine.pass_time(HOUR_NS)
        machine.move(offset_ns)
        assert machine.start().now_ns() == BEGIN_NS + HOUR_NS

        machine.pass_time(HOUR_NS)
        machine.move(0)
        assert machine.start().now_ns() == BEGIN_NS + 2 * HOUR_NS

    @pytest.mark.parametrize("offset_ns", [-DAY_NS, -SECOND_NS, 0, SECOND_NS, 2 * DAY_NS])
    def test_an_offset_that_cannot_be_read_makes_it_late_at_most(self, machine: Machine, offset_ns: int) -> None:
        machine.start()
        machine.pass_time(HOUR_NS)
        machine.move(offset_ns, shows_offset=False)
        assert machine.start().now_ns() == BEGIN_NS + HOUR_NS - (SECOND_NS if offset_ns == -SECOND_NS else 0)

    def test_several_restarts_in_the_same_one_are_those_of_one_boot(self, machine: Machine) -> None:
        machine.move(2 * DAY_NS)
        for step_ns in STEPS:
            machine.start()
            machine.pass_time(SECOND_NS)
            machine.set_clock(step_ns)

        assert machine.start().now_ns() == BEGIN_NS + len(STEPS) * SECOND_NS

    @pytest.mark.parametrize("step_ns", STEPS)
    @pytest.mark.parametrize("shows_offset", [True, False])
    def test_a_wall_clock_that_was_set_meanwhile_makes_it_late_at_most(
        self, machine: Machine, step_ns: int, shows_offset: bool
    ) -> None:
        """It is set forward and the offset unknown: one of both may be wrong, not both."""
        machine.start()
        machine.pass_time(HOUR_NS)
        machine.set_clock(step_ns)
        machine.move(SECOND_NS if shows_offset else 0, shows_offset)

        late_ns = min(max(-step_ns, 0), HOUR_NS)
        assert machine.start().now_ns() == BEGIN_NS + HOUR_NS - late_ns

    @pytest.mark.parametrize("ahead_ns", [SECOND_NS, HOUR_NS, 2 * DAY_NS])
    def test_a_boot_clock_that_is_wrong_makes_it_late_at_most(self, machine: Machine, ahead_ns: int) -> None:
        machine.start()
        machine.pass_time(HOUR_NS)
        machine.move(SECOND_NS)
        machine.boot_ns += ahead_ns
        assert machine.start().now_ns() == BEGIN_NS + HOUR_NS

    def test_a_process_that_is_moved_stores_the_anchor_of_where_it_is(self, machine: Machine) -> None:
        """As CRIU does it: the clock of the process goes on where it was, and loses the time in between."""
        clock = machine.start()
        machine.pass_time(HOUR_NS)
        machine.move(-HOUR_NS)
        machine.look(clock)
        assert clock.now_ns() == BEGIN_NS

        machine.pass_time(SECOND_NS)
        machine.move(0)
        assert machine.start().now_ns() == BEGIN_NS + SECOND_NS

    def test_an_anchor_of_a_server_that_knew_no_offsets_is_not_trusted_alone(self, machine: Machine) -> None:
        machine.start()
        assert machine.anchor is not None
        machine.anchor = machine.anchor._replace(boot_offset_ns=None)
        machine.pass_time(HOUR_NS)
        machine.boot_ns += DAY_NS

        assert machine.start().now_ns() == BEGIN_NS + HOUR_NS


class TestReboot:
    def test_the_wall_clock_tells_how_long_the_machine_was_off(self, machine: Machine) -> None:
        machine.start()
        machine.pass_time(SECOND_NS)
        machine.reboot(off_ns=HOUR_NS)

        assert machine.start().now_ns() == BEGIN_NS + SECOND_NS + HOUR_NS

    @pytest.mark.parametrize("step_ns", STEPS)
    def test_offset_from_before_is_kept(self, machine: Machine, step_ns: int) -> None:
        clock = machine.start()
        machine.set_clock(step_ns)
        machine.look(clock)
        machine.pass_time(SECOND_NS)
        machine.reboot(off_ns=HOUR_NS)

        clock = machine.start()

        assert clock.now_ns() == BEGIN_NS + SECOND_NS + HOUR_NS
        assert machine.wall_ns - clock.now_ns() == step_ns

    @pytest.mark.parametrize("back_ns", [SECOND_NS, HOUR_NS, 10 * 365 * DAY_NS])
    def test_a_wall_clock_that_was_set_back_meanwhile_does_not_take_it_back(
        self, machine: Machine, back_ns: int
    ) -> None:
        clock = machine.start()
        machine.pass_time(HOUR_NS)
        machine.look(clock)
        machine.reboot(off_ns=-back_ns)

        clock = machine.start()

        assert clock.now_ns() == BEGIN_NS + HOUR_NS
        machine.pass_time(SECOND_NS)
        assert clock.now_ns() == BEGIN_NS + HOUR_NS + SECOND_NS

    def test_anchor_alone_keeps_it_from_going_back(self, machine: Machine) -> None:
        machine.start()
        machine.last_known_ns = 0
        machine.reboot(off_ns=-HOUR_NS)

        assert machine.start().now_ns() == BEGIN_NS


class TestNotBefore:
    def test_timeline_begins_no_earlier_than_the_last_time_known(self, machine: Machine) -> None:
        machine.last_known_ns = BEGIN_NS + HOUR_NS

        assert machine.start().now_ns() == BEGIN_NS + HOUR_NS


class TestAnchor:
    def test_first_one_is_made_at_once_with_all_four_readings(self, machine: Machine) -> None:
        machine.start()

        assert machine.anchor == Anchor("boot 0", 77 * SECOND_NS, BEGIN_NS, BEGIN_NS, 0)

    def test_after_a_restart_a_new_one_is_made(self, machine: Machine) -> None:
        machine.start()
        machine.reboot(off_ns=HOUR_NS)
        machine.start()

        assert machine.anchor == Anchor("boot 1", 3 * SECOND_NS, BEGIN_NS + HOUR_NS, BEGIN_NS + HOUR_NS, 0)

    def test_none_while_the_wall_clock_goes_along(self, machine: Machine) -> None:
        clock = machine.start()
        for _ in range(100):
            machine.pass_time(HOUR_NS)
            assert clock.new_anchor() is None

    @pytest.mark.parametrize("sign", [-1, 1])
    def test_renewed_when_the_offset_has_moved_by_what_is_noted_and_not_before(
        self, machine: Machine, sign: int
    ) -> None:
        clock = machine.start()
        machine.set_clock(sign * (OFFSET_NOTED_MS * NS_PER_MS - 1))
        assert clock.new_anchor() is None

        machine.set_clock(sign)

        anchor = clock.new_anchor()
        assert anchor is not None
        assert anchor.wall_ns - anchor.timeline_ns == sign * OFFSET_NOTED_MS * NS_PER_MS
        assert clock.new_anchor() is None

    def test_slow_drift_is_noted_once_it_has_added_up(self, machine: Machine) -> None:
        clock = machine.start()
        renewed = 0
        for _ in range(10 * OFFSET_NOTED_MS):
            machine.pass_time(SECOND_NS)
            machine.set_clock(NS_PER_MS)
            renewed += clock.new_anchor() is not None

        assert renewed == 10


actions = st.lists(
    st.tuples(
        st.sampled_from(["look", "set", "restart", "reboot", "move", "hide", "move and set"]),
        st.integers(0, DAY_NS),
        st.sampled_from(STEPS),
    ),
    max_size=30,
)


@given(actions)
def test_timeline_never_goes_back_nor_is_it_early_whatever_happens(played: list[tuple[str, int, int]]) -> None:
    """It is early only by what the wall clock was set forward while nothing else could tell the time: across a reboot,
    or where a namespace is not known. It is late only by what the wall clock was set back across a reboot or into
    another namespace, or where one is not known.
    """
    machine = Machine()
    clock = machine.start()
    elapsed_ns, knows_all = 0, True
    most_early_ns = most_late_ns = len(played) * OFFSET_NOTED_MS * NS_PER_MS
    for action, passed_ns, step_ns in played:
        before_ns = clock.now_ns()
        machine.pass_time(passed_ns)
        elapsed_ns += passed_ns
        if action == "set":
            machine.set_clock(step_ns)
        elif action != "look":
            machine.last_known_ns = before_ns
            if action == "reboot":
                machine.reboot(off_ns=step_ns)
                most_early_ns += max(step_ns, 0)
            elif action == "move":
                machine.move(step_ns)
            elif action == "hide":
                machine.move(step_ns, shows_offset=False)
            elif action == "move and set":
                machine.move(step_ns)
                machine.set_clock(-step_ns)
                most_early_ns += 0 if knows_all else max(-step_ns, 0)
            knows_all &= action != "hide"
            most_late_ns += abs(step_ns) if action in {"reboot", "move and set"} else 0
            clock = machine.start()
        machine.look(clock)
        assert clock.now_ns() >= before_ns
        late_ns = BEGIN_NS + elapsed_ns - clock.now_ns()
        assert late_ns >= -most_early_ns
        assert late_ns <= most_late_ns or not knows_all


def test_clocks_of_the_system_can_be_read() -> None:
    sources = system_sources()

    assert sources.boot().id
    assert sources.boot() == sources.boot()
    assert 0 < sources.boot_ns() <= sources.boot_ns()
    assert sources.wall_ns() > BEGIN_NS
