"""What goes between servers in a turn of the loop."""

import json
import logging
from collections.abc import Iterator
from contextlib import closing
from typing import cast

import pytest

from drivers.several_servers import Server, SharedStore
from loop.hall import Machine, Wire
from loop.test_peering import QuietPeers
from timer_protocol.durations import NS_PER_MS
from timer_protocol.errors import ErrorCode
from timer_server.loop import peer_traffic
from timer_server.loop.clock import Clock
from timer_server.loop.commit_care import ANSWER_WITHIN_MS
from timer_server.loop.committer import Committer, InlineCommitter, Ticket
from timer_server.loop.parts import Parts
from timer_server.loop.signals import OperatorSignals
from timer_server.loop.turn import Loop
from timer_server.metrics import Metrics
from timer_server.requests.answers import PeerAnswer
from timer_server.requests.between_servers import PeerError, PeerResult, unpacked_replies, unpacked_requests
from timer_server.requests.servers import Servers
from timer_server.store.base import StoreError
from timer_server.wire.commands import Commands
from timer_server.wire.events import Events
from timer_server.wire.peers import Incoming, Peers


@pytest.fixture
def store() -> SharedStore:
    store = SharedStore(2)
    store.start("a")
    store.start("b")
    store.give(0, "a")
    store.give(1, "b")
    store.follow()
    return store


@pytest.fixture
def b(store: SharedStore) -> Server:
    return store.servers["b"]


def answers(*results: bytes) -> list[PeerAnswer]:
    found = []
    for number, result in enumerate(results):
        answer = PeerAnswer("a", number, b"c")
        answer.reply = PeerResult(number, result)
        found.append(answer)
    return found


def test_a_message_that_cannot_be_read_is_logged_and_harms_no_other(
    store: SharedStore, b: Server, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR):
        b.peers.inbox += [Incoming("a", kind, b"\xc1") for kind in ("request", "reply")]
        store.servers["a"].call("timer.start", id=store.name_in(1), seconds=60)
        store.run()
    assert len(caplog.records) == 2
    assert len(store.servers["a"].take_told()) == 1


def test_replies_to_one_server_are_one_message_unless_that_is_too_large(
    store: SharedStore, b: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peer_traffic, "MESSAGE_BYTES", 10)
    b.traffic.reply(answers(b"1" * 6, b"2" * 6, b"3"))
    sent = [[reply.number for reply in unpacked_replies(body)] for body in store.link("a", "b").replies]
    assert sent == [[0, 1], [2]]


def test_what_waits_for_a_server_that_has_left_is_given_up(store: SharedStore, b: Server) -> None:
    name = store.name_in(1)
    for method, params in (("timer.start", {"seconds": 60}), ("timer.wait", {"wait_ms": 60_000})):
        store.servers["a"].call(method, id=name, **params)
    store.run()
    b.traffic.deliver(Incoming("a", "broken"))
    assert len(b.parked) == 1

    b.traffic.deliver(Incoming("a", "left"))
    assert len(b.parked) == 0


def test_what_one_has_seen_of_the_primary_the_others_hear_once(store: SharedStore, b: Server) -> None:
    a = store.servers["a"]
    a.seen.hear(3)
    store.cut("b", "a")
    store.run(1)
    store.connect("b", "a")
    store.run(2)
    assert b.seen.timeline == 3

    a.seen.hear(4)
    a.turn()
    assert len(store.link("b", "a").replies) == 1
    store.run(3)
    assert b.seen.timeline == 4
    a.turn()
    assert not store.link("b", "a").replies


class Unanswered:
    """A committer whose store does not answer."""

    is_inline = False
    most_in_flight = 1
    is_away = True

    def submit(self, _: object) -> Ticket:
        return Ticket(1)

    def settled(self) -> Ticket:
        return Ticket(0)

    def next_due_ns(self) -> None: ...

    def register(self, _: object) -> None: ...


class Joined:
    """The loop of `b`. What `a` sends and gets is the test's to deliver."""

    def __init__(self, store: SharedStore, committer: Committer | None = None) -> None:
        self.server = server = store.servers["b"]
        self.machine = Machine()
        self.wire = Wire(self.machine)
        self.peers = QuietPeers()
        parts = Parts(
            Clock(self.machine.sources(), None),
            server.shards,
            server.places,
            server.queue_rules,
            committer or InlineCommitter({shard.log.id: store.stores[shard.number] for shard in server.shards.owned}),
            server.dispatcher,
            cast("Commands", self.wire),
            cast("Events", self.wire),
            self.wire.admission,
            Metrics({shard.number: shard.engine.counts() for shard in server.shards.owned}),
            Servers(()),
            peers=cast("Peers", self.peers),
            peer_traffic=server.traffic,
        )
        self.signals = OperatorSignals()
        self.loop = Loop(parts, self.signals)

    def turn(self) -> None:
        self.listen()
        self.loop._timeout_ms()
        self.loop._turn({self.wire.socket: 1})

    def hold(self) -> None:
        """What is done while no turn may begin."""
        self.listen()
        self.loop._wait_for_room({})

    def listen(self) -> None:
        self.peers.waiting += self.server.peers.inbox
        self.server.peers.inbox.clear()

    def close(self) -> None:
        self.loop.close()
        self.signals.close()


@pytest.fixture
def joined(store: SharedStore) -> Iterator[Joined]:
    with closing(Joined(store)) as joined:
        yield joined


def test_the_loop_answers_other_servers_once_it_is_durable(store: SharedStore, joined: Joined) -> None:
    store.servers["a"].call("timer.start", id=store.name_in(1), seconds=60)
    store.servers["a"].turn()
    store.deliver("a", "b", "requests")
    joined.turn()

    (body,) = store.link("a", "b").replies
    (reply,) = unpacked_replies(body)
    assert isinstance(reply, PeerResult)
    assert json.loads(reply.result)["id"] == store.name_in(1)
    assert [event.kind for event in store.events(1)] == ["started"]


def test_the_loop_sends_what_is_for_others_at_the_end_of_its_turn(store: SharedStore, joined: Joined) -> None:
    names = [store.name_in(0, begin) for begin in ("x", "y")]
    joined.wire.requests = [
        json.dumps({"jsonrpc": "2.0", "id": 1, "method": "timer.start", "params": {"id": name, "seconds": 60}}).encode()
        for name in names
    ]
    joined.turn()
    (body,) = store.link("b", "a").requests
    assert len(unpacked_requests(body).requests) == 2
    assert joined.wire.replied_ns == []

    store.deliver("b", "a", "requests")
    store.servers["a"].turn()
    store.servers["a"].settle_all()
    store.deliver("b", "a", "replies")
    joined.turn()
    assert len(joined.wire.replied_ns) == 2


class TestWhileNoTurnMayBegin:
    @pytest.fixture
    def held(self, store: SharedStore) -> Iterator[Joined]:
        """One turn is in flight, and nothing comes of it."""
        with closing(Joined(store, Unanswered())) as joined:
            joined.server.call("timer.start", id=store.name_in(1, "first"), seconds=60)
            joined.turn()
            assert joined.loop._is_full()
            yield joined

    def test_connections_are_kept_up_and_replies_taken_in(self, store: SharedStore, held: Joined) -> None:
        held.server.call("timer.start", id=store.name_in(0), seconds=60)
        held.server.turn()
        store.deliver("b", "a", "requests")
        store.servers["a"].turn()
        store.servers["a"].settle_all()
        store.deliver("b", "a", "replies")
        assert held.server.forwards.room.requests == 1

        held.machine.ns += 20 * NS_PER_MS
        held.hold()
        assert held.peers.stepped_ns
        assert held.server.forwards.room.requests == 0

    def test_what_others_have_seen_of_the_primary_is_heard_though_requests_wait(
        self, store: SharedStore, held: Joined
    ) -> None:
        """Or a server that waits for a primary which has fallen would serve it once it is back, though cut off."""
        a = store.servers["a"]
        a.call("timer.start", id=store.name_in(1), seconds=60)
        store.cut("b", "a")
        store.connect("b", "a")
        a.seen.hear(2)
        a.turn()
        assert store.deliver("a", "b", "requests")
        assert store.deliver("b", "a", "replies")

        held.machine.ns += 20 * NS_PER_MS
        held.hold()
        assert held.server.seen.timeline == 2
        assert [incoming.kind for incoming in held.peers.waiting] == ["request"]

    def test_so_it_is_by_a_server_that_waits_to_stop(
        self, store: SharedStore, held: Joined, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def settled(_: object) -> Ticket:
            held.machine.ns += 1_000 * NS_PER_MS
            return Ticket(0)

        monkeypatch.setattr(Unanswered, "settled", settled)
        store.servers["a"].seen.hear(2)
        store.cut("b", "a")
        store.connect("b", "a")
        store.servers["a"].turn()
        assert store.deliver("b", "a", "replies")
        held.listen()
        with pytest.raises(StoreError, match="was not durable"):
            held.loop._settle_all()
        assert held.server.seen.timeline == 2

    def test_what_is_for_this_server_by_now_waits_for_a_turn(self, store: SharedStore, held: Joined) -> None:
        """What is applied is submitted in the same turn: by the next its shard may be given away."""
        held.server.call("timer.start", id=store.name_in(0), seconds=60)
        held.server.turn()
        store.kill("a")
        store.give(0, "b")
        store.follow()
        held.machine.ns += 20 * NS_PER_MS
        held.hold()
        assert [shard.take_writes() for shard in held.server.shards.owned] == [None, None]

        held.turn()
        assert [shard.number for shard, _ in held.loop.in_flight[-1].writes] == [0]

    def test_requests_wait_and_are_refused_once_it_takes_too_long(self, store: SharedStore, held: Joined) -> None:
        store.servers["a"].call("timer.start", id=store.name_in(1), seconds=60)
        store.servers["a"].turn()
        store.deliver("a", "b", "requests")
        held.hold()
        assert [incoming.kind for incoming in held.peers.waiting] == ["request"]
        assert not store.link("a", "b").replies

        held.machine.ns += ANSWER_WITHIN_MS * NS_PER_MS
        held.hold()
        (body,) = store.link("a", "b").replies
        (reply,) = unpacked_replies(body)
        assert isinstance(reply, PeerError)
        assert reply.error.code == ErrorCode.STORAGE_FAILED
        assert [shard.take_writes() for shard in held.server.shards.owned] == [None]
