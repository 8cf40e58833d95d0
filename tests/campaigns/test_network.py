"""The network campaign notices clients that do not recover."""

import threading
from pathlib import Path
from random import Random

import msgspec
import pytest
import zmq

from campaigns.campaign import Length
from campaigns.network_collect import Put
from campaigns.network_loopback import Setup, run_loopback
from campaigns.proxy_faults import CUT, SILENCE, ProxyFault
from timer_client import Event, Settings, TimerClient
from timer_client.link import Context, subscribed
from timer_protocol.frames import BEAT_TOPIC

pytestmark = pytest.mark.thorough

SEED = 7


@pytest.fixture
def dice() -> Random:
    """The same faults in every run."""
    return Random(SEED)  # noqa: S311 - chance that can be repeated


class Listener:
    """A watcher that reads the log once and then only listens: what it is not sent it never asks for.

    After its connection was cut it comes back only when something has happened that it was not sent.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._stop = threading.Event()
        self._seq = 0

    def run(self, put: Put[Event]) -> None:
        context: Context = Context()
        with TimerClient(settings=self._settings) as client:
            try:
                while not self._stop.is_set():
                    self._listen(context, client, put)
                    self._wait_for_more(client)
            finally:
                context.term()

    def stop(self) -> None:
        self._stop.set()

    def _listen(self, context: Context, client: TimerClient, put: Put[Event]) -> None:
        """Listens until the connection is lost."""
        with (
            subscribed(context, self._settings.events, (b"", BEAT_TOPIC)) as socket,
            socket.get_monitor_socket(zmq.EVENT_DISCONNECTED) as lost,
        ):
            has_begun = False
            while not self._stop.is_set() and not lost.poll(0):
                topic, body = socket.recv_multipart() if socket.poll(100) else (b"", b"")
                if topic == BEAT_TOPIC and not has_begun:  # from now on it is sent everything
                    has_begun = True
                    self._seq = self._seq or self._read(client, put)
                elif has_begun and topic not in (b"", BEAT_TOPIC):
                    event = msgspec.json.decode(body, type=Event)
                    if event.seq > self._seq:
                        self._seq = event.seq
                        put(event)

    def _read(self, client: TimerClient, put: Put[Event]) -> int:
        seq = 0
        page = client.read_events("start", limit=1000)
        while True:
            for event in page.events:
                put(event)
                seq = event.seq
            if not page.more:
                return seq
            page = client.read_events(page.next, limit=1000)

    def _wait_for_more(self, client: TimerClient) -> None:
        while not self._stop.wait(0.01) and max(client.info().cursor.values()) <= self._seq:
            pass


@pytest.mark.parametrize(("faults", "notices"), [((), False), ((CUT, CUT), True)])
def test_a_watcher_that_only_listens_is_noticed(
    tmp_path: Path, dice: Random, faults: tuple[ProxyFault, ...], notices: bool
) -> None:
    setup = Setup(watch=Listener, faults=faults, recovery_limit_s=2, countdown_s=3)
    report = run_loopback(tmp_path, Length.SHORT, dice, setup)
    missed = [violation for violation in report.violations if "the blocking client missed event" in violation]
    assert bool(missed) is notices, report.violations
    assert notices or not report.violations


def test_clients_that_try_only_once_are_noticed(tmp_path: Path, dice: Random) -> None:
    setup = Setup(retry_deadline_s=0, faults=(CUT, SILENCE), recovery_limit_s=5, countdown_s=3)
    report = run_loopback(tmp_path, Length.SHORT, dice, setup)
    assert any("a call failed" in violation for violation in report.violations), report.violations
