"""The timeline: elapsed time moves it, whatever anybody sets the wall clock to, and restarts lose none of it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from timer_server.loop.clock import OFFSET_NOTED_MS, BootNs, Clock, Sources, WallNs, system_sources
from timer_server.store.base import Anchor

NS_PER_MS = 1_000_000
SECOND_NS = 1_000_000_000
HOUR_NS = 3600 * SECOND_NS
DAY_NS = 24 * HOUR_NS
BEGIN_NS = 1_700_000_000 * SECOND_NS

STEPS = [-DAY_NS, -HOUR_NS, -SECOND_NS, SECOND_NS, HOUR_NS, DAY_NS]


class Machine:
    """A computer: time passes, somebody sets its clock, it is booted anew, and the server on it starts and stops."""

    def __init__(self) -> None:
        self.boots = 0
        self.boot_ns = 77 * SECOND_NS
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

    def start(self) -> Clock:
        """A server's clock, whose anchor is stored as the server does it."""
        sources = Sources(f"boot {self.boots}", lambda: BootNs(self.boot_ns), lambda: WallNs(self.wall_ns))
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

        clock = Clock(Sources("boot", boot_ns, lambda: WallNs(machine.wall_ns)), None)
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

        assert machine.anchor == Anchor("boot 0", 77 * SECOND_NS, BEGIN_NS, BEGIN_NS)

    def test_after_a_restart_a_new_one_is_made(self, machine: Machine) -> None:
        machine.start()
        machine.reboot(off_ns=HOUR_NS)
        machine.start()

        assert machine.anchor == Anchor("boot 1", 3 * SECOND_NS, BEGIN_NS + HOUR_NS, BEGIN_NS + HOUR_NS)

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
        st.sampled_from(["pass", "set", "look", "restart", "reboot"]),
        st.integers(0, DAY_NS),
        st.sampled_from(STEPS),
    ),
    max_size=30,
)


@given(actions)
def test_timeline_never_goes_back_whatever_happens(played: list[tuple[str, int, int]]) -> None:
    machine = Machine()
    clock = machine.start()
    for action, elapsed_ns, step_ns in played:
        before_ns = clock.now_ns()
        if action == "pass":
            machine.pass_time(elapsed_ns)
        elif action == "set":
            machine.set_clock(step_ns)
        elif action == "restart":
            machine.last_known_ns = clock.now_ns()
            clock = machine.start()
        elif action == "reboot":
            machine.last_known_ns = clock.now_ns()
            machine.reboot(step_ns)
            clock = machine.start()
        machine.look(clock)
        assert clock.now_ns() >= before_ns


def test_clocks_of_the_system_can_be_read() -> None:
    sources = system_sources()

    assert sources.boot_id
    assert sources.boot_id == system_sources().boot_id or sources.boot_id.startswith("unknown-")
    assert 0 < sources.boot_ns() <= sources.boot_ns()
    assert sources.wall_ns() > BEGIN_NS
