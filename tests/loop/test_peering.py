"""Other servers in the loop: what they send is taken in within bounds, keys hold for them too, who is away is told."""

from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest
import zmq

from keys import KeyRing
from loop.hall import Hall
from loop.wires import QuietWire
from timer_protocol.durations import NS_PER_MS
from timer_protocol.errors import Refusal
from timer_protocol.messages import UnreachableServer
from timer_server.access.gate import Gate
from timer_server.loop.peering import Peering
from timer_server.loop.tell import Teller
from timer_server.loop.turn import Loop
from timer_server.loop.upkeep import Upkeep
from timer_server.wire.intake import Intake
from timer_server.wire.peers import Incoming, Peers, Unreachable


class QuietPort(QuietWire):
    """Stands in for the port, and counts how often its connections were cut."""

    cut = 0

    def reopen(self) -> None:
        self.cut += 1


class QuietPeers:
    """Stands in for the connections with other servers."""

    def __init__(self) -> None:
        self.port = QuietPort()
        self.waiting: list[Incoming] = []
        self.unreachable: dict[str, Unreachable] = {}
        self.keys_were_read = 0
        self.stepped_ns: list[int] = []

    def register(self, _: zmq.Poller) -> None: ...

    def has_news(self, _: object) -> bool:
        return bool(self.waiting)

    def receive(self, *, also_requests: bool = True) -> Incoming | None:
        for incoming in self.waiting:
            if also_requests or incoming.kind != "request":
                self.waiting.remove(incoming)
                return incoming
        return None

    def keys_read(self) -> None:
        self.keys_were_read += 1

    def next_due_ns(self) -> int:
        return 0

    def step(self, now_ns: int) -> None:
        self.stepped_ns.append(now_ns)


@pytest.fixture
def hall() -> Iterator[Hall]:
    made = Hall()
    yield made
    made.close()


@pytest.fixture
def peers(hall: Hall) -> QuietPeers:
    quiet = QuietPeers()
    hall.parts = hall.parts._replace(peers=cast("Peers", quiet))
    return quiet


def test_a_turn_takes_in_what_there_is_in_order_for_a_bounded_time(hall: Hall, peers: QuietPeers) -> None:
    heard: list[Incoming] = []

    def deliver(incoming: Incoming, _: Refusal | None) -> None:
        heard.append(incoming)
        hall.machine.ns += NS_PER_MS

    peering = Peering(cast("Peers", peers), hall.clock, hall.parts.metrics, hall.servers, deliver)
    sent = [Incoming("b", "request", b"%d" % number) for number in range(10)]
    peers.waiting = list(sent)
    peering.take_in({})
    assert heard == sent[: len(heard)]
    assert 2 <= len(heard) <= 3
    while peers.waiting:
        peering.take_in({})
    assert heard == sent


def test_the_loop_steps_it_and_tells_who_cannot_be_reached(hall: Hall, peers: QuietPeers) -> None:
    hall.loop.close()
    hall.loop = Loop(hall.parts, hall.signals)
    peers.unreachable = {"x": Unreachable("tcp://b:8890", "away"), "y": Unreachable("tcp://a:8890", "away")}
    hall.turn()
    assert peers.stepped_ns
    why = "nothing there takes connections"
    assert hall.servers.unreachable == (UnreachableServer("tcp://a:8890", why), UnreachableServer("tcp://b:8890", why))
    assert hall.parts.metrics.unreachable == {"away": 2}
    peers.unreachable = {}
    hall.turn()
    assert (hall.servers.unreachable, hall.parts.metrics.unreachable) == ((), {})


def test_keys_that_are_read_again_hold_for_servers_and_cut_no_others(
    hall: Hall, peers: QuietPeers, tmp_path: Path
) -> None:
    ring = KeyRing(tmp_path)
    ring.add("shop")
    hall.wire.gate = Gate(ring.files)  # type: ignore[assignment]  # it has none
    upkeep = Upkeep(hall.parts, Teller(hall.parts.commands, hall.parts.events, hall.parts.metrics))
    ring.remove("shop")
    upkeep.reload()
    assert peers.keys_were_read == 1
    assert upkeep.has_to_cut
    upkeep.cut_connections()
    assert (len(hall.wire.cut_ns), peers.port.cut) == (2, 0)


def test_where_more_comes_in_than_can_be_handled_servers_are_cut_too(
    hall: Hall, peers: QuietPeers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Intake, "is_too_much", lambda *_: True)
    upkeep = Upkeep(hall.parts, Teller(hall.parts.commands, hall.parts.events, hall.parts.metrics))
    upkeep.step(hall.clock.now_ns())
    upkeep.cut_connections()
    assert (len(hall.wire.cut_ns), peers.port.cut) == (2, 1)
