"""The chore that sends copies of a store: bounded steps, and an end whatever the one who asked does."""

import logging
import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from drivers.builders import NS_PER_MS
from loop.hall import Machine
from store.stores import changes, event, sqlite_store
from timer_server.loop.backups import SLICE_BYTES, STALL_LIMIT_MS, WAIT_MS, Backups
from timer_server.loop.chores import NEVER_NS, Schedule
from timer_server.loop.clock import Clock
from timer_server.metrics import Metrics
from timer_server.store.sqlite import copying
from timer_server.wire.admin_messages import (
    Asked,
    Backup,
    Begun,
    Blocks,
    Ended,
    Kept,
    Refused,
    Told,
    framed,
    told_messages,
)
from timer_server.wire.admin_place import admin_path, short_enough
from timer_server.wire.admin_port import MOST_CONNECTIONS, AdminPort

MIB = 2**20
ENTRIES = 40
"""Each of a hundred kilobytes, so that a slice has two."""


class Operator:
    """One who asks for a copy, and reads when the test says so."""

    def __init__(self, path: Path) -> None:
        self._messages = told_messages()
        self.socket = socket.socket(socket.AF_UNIX)
        with short_enough(path) as place:
            self.socket.connect(place)
        self.socket.setblocking(False)
        self.has_been_cut = False

    def ask(self, message: Asked) -> None:
        self.socket.send(framed(message))

    def read(self) -> list[Told]:
        """All that has come by now."""
        told: list[Told] = []
        try:
            while received := self.socket.recv(MIB):
                told += self._messages.take(received)
            self.has_been_cut = True
        except BlockingIOError:
            pass
        return told


class Vault:
    """A store of four megabytes, and what makes backups of it, on a clock of the test."""

    def __init__(self, folder: Path) -> None:
        self.path = admin_path(folder / "timers.db")
        self.store = sqlite_store(folder / "timers.db")
        self.store.open()
        self.store.look_after()
        filler = b'"%s"' % (b"x" * 100_000)
        self.store.commit(changes(*(event(place, f"id/{place}", payload=filler) for place in range(1, ENTRIES + 1))))
        self.machine = Machine()
        self.clock = Clock(self.machine.sources(), None)
        self.metrics = Metrics({})
        self.schedule = Schedule([])
        self.port = AdminPort(self.path)
        self.backups = Backups(self.port, self.store, self.clock, self.metrics, self.schedule)
        self._operators: list[Operator] = []

    def operator(self) -> Operator:
        self._operators.append(Operator(self.path))
        return self._operators[-1]

    def take_in(self) -> None:
        """Takes in connections, and then what came over them."""
        for _ in range(2):
            self.backups.take_in()

    def begin(self) -> Operator:
        """One whose copy has begun."""
        operator = self.operator()
        operator.ask(Backup())
        self.take_in()
        return operator

    def turn(self, after_ms: float = WAIT_MS) -> None:
        """The chores' part of a turn, that much later."""
        self.machine.ns += int(after_ms * NS_PER_MS)
        self.schedule.look()
        self.schedule.step(self.clock.now_ns(), 500)

    @property
    def is_at_rest(self) -> bool:
        """Whether nothing is to be done, and the store keeps nothing for a copy."""
        return self.schedule.look() == NEVER_NS and self.store._copy is None

    def close(self) -> None:
        for operator in self._operators:
            operator.socket.close()
        self.port.close()
        self.store.close()


@pytest.fixture
def vault(tmp_path: Path) -> Iterator[Vault]:
    with closing(Vault(tmp_path)) as vault:
        yield vault


def events_in(caplog: pytest.LogCaptureFixture) -> list[tuple[str, dict[str, object]]]:
    return [(record.getMessage(), getattr(record, "fields", {})) for record in caplog.records]


def test_a_copy_goes_in_slices_with_rests_and_is_told_when_it_is_kept(
    vault: Vault, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "timer_server")
    assert vault.is_at_rest
    operator = vault.begin()
    assert vault.schedule.look() == 0
    told, turns = operator.read(), 0
    while not isinstance(told[-1], Ended):
        before = len(told)
        vault.turn()
        told += operator.read()
        assert len(told) == before + 1
        vault.schedule.step(vault.clock.now_ns(), 500)
        assert operator.read() == [], "not before it has rested"
        turns += 1
    begun, *slices, _ = told

    assert isinstance(begun, Begun)
    rows = [row for part in slices if isinstance(part, Blocks) for row in part.rows]
    assert [row[0] for row in rows] == list(range(1, ENTRIES + 1))
    assert turns > ENTRIES * 100_000 / (SLICE_BYTES + 100_000)
    assert vault.is_at_rest
    assert vault.metrics.backed_up_at_s == 0

    operator.ask(Kept())
    vault.take_in()

    assert vault.metrics.backed_up_at_s == pytest.approx(vault.clock.now_ns() / 1e9)
    assert [event for event, _ in events_in(caplog)] == ["backup made"]


def test_one_who_reads_slowly_is_waited_for_and_one_who_does_not_read_for_half_a_minute_is_given_up(
    vault: Vault, caplog: pytest.LogCaptureFixture
) -> None:
    operator = vault.begin()
    for _ in range(10):  # as much as the system takes
        vault.turn()
    for _ in range(3):
        vault.turn(STALL_LIMIT_MS - 100)
        assert operator.read()
        vault.turn()
    assert not vault.is_at_rest
    for _ in range(10):
        vault.turn()

    vault.turn(STALL_LIMIT_MS)

    assert vault.is_at_rest
    operator.read()
    assert operator.has_been_cut
    assert events_in(caplog) == [("backup given up", {"reason": "nothing of it was read for 30 s"})]


@pytest.mark.parametrize("is_at_the_end", [False, True])
def test_one_who_goes_ends_the_copy(vault: Vault, caplog: pytest.LogCaptureFixture, is_at_the_end: bool) -> None:
    operator = vault.begin()
    vault.turn()
    while is_at_the_end and not vault.is_at_rest:
        vault.turn()
        operator.read()
    operator.socket.close()
    vault.take_in()

    assert vault.is_at_rest
    event = "backup sent, and not kept" if is_at_the_end else "backup given up"
    assert events_in(caplog) == [(event, {"reason": "who asked for it has gone"})]
    assert isinstance(vault.begin().read()[0], Begun)


def test_there_is_one_at_a_time(vault: Vault) -> None:
    first, second = vault.begin(), vault.begin()

    assert second.read() == [Refused("another backup is being made")]
    first.socket.close()
    vault.take_in()
    second.ask(Backup())
    vault.take_in()
    assert isinstance(second.read()[0], Begun)


def test_on_a_disk_that_is_nearly_full_none_is_begun_and_one_that_was_begun_is_given_up(vault: Vault) -> None:
    operator = vault.begin()
    operator.read()
    vault.store.is_short_of_room = True
    vault.turn()

    assert operator.read() == [Refused("the disk is nearly full")]
    assert operator.has_been_cut
    assert vault.is_at_rest
    assert vault.begin().read() == [Refused("the disk is nearly full")]
    assert vault.is_at_rest


def test_one_that_is_lost_is_given_up_and_its_reader_told(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copying, "KEPT_BYTES", 1)
    operator = vault.begin()
    vault.store.commit(changes(obsolete=(ENTRIES - 1,), horizon=ENTRIES))
    operator.read()
    vault.turn()

    (refused,) = operator.read()
    assert isinstance(refused, Refused)
    assert "read faster" in refused.reason
    assert vault.is_at_rest


@pytest.mark.parametrize("sent", [b"GET / HTTP/1.1\r\n\r\n", b"\0\0\0\1\xc1", framed(Kept())[:-1] + b"\xff"])
def test_what_is_no_message_ends_its_connection_and_no_other(vault: Vault, sent: bytes) -> None:
    stranger, operator = vault.operator(), vault.begin()
    stranger.socket.send(sent)
    vault.take_in()

    assert stranger.read() == []
    assert stranger.has_been_cut
    assert isinstance(operator.read()[0], Begun)
    vault.turn()
    assert operator.read()


def test_connections_are_bounded_and_those_beyond_wait(vault: Vault) -> None:
    idle = [vault.operator() for _ in range(MOST_CONNECTIONS)]
    for _ in idle:
        vault.backups.take_in()
    operator = vault.begin()
    assert operator.read() == []

    idle[0].socket.close()
    vault.take_in()
    vault.take_in()

    assert isinstance(operator.read()[0], Begun)


def test_only_the_owner_may_ask_and_a_socket_that_was_left_is_replaced(vault: Vault, tmp_path: Path) -> None:
    assert vault.path.stat().st_mode & 0o777 == 0o600
    again = AdminPort(vault.path)  # as after a kill
    again.close()
    assert not vault.path.exists()
    vault.path.write_text("of somebody")
    with pytest.raises(OSError, match="in use"):
        AdminPort(vault.path)
    assert vault.path.read_text() == "of somebody"


def test_a_path_may_be_longer_than_the_system_takes_for_sockets(tmp_path: Path) -> None:
    folder = tmp_path / ("a" * 120)
    folder.mkdir()
    with closing(AdminPort(admin_path(folder / "timers.db"))) as port:
        Operator(port.path).socket.close()
        assert port.take() == []
