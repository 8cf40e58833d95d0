"""Both clients with the addresses of several servers: requests go to one that answers, and events come from all."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from msgspec.structs import replace

from client.command import json_lines, run
from client.fake_server import FakeServer, giving, page_of, refusing, unanswered
from client.model_logs import event, topic_of
from client.model_servers import info_of
from drivers.both_clients import LIMIT_S, Driver, quick
from local_server import LocalServer
from timer_client import Pause, ServerUnreachable, ShuttingDown, TimerClient
from timer_client.cli import root
from timer_protocol.errors import ErrorCode
from timer_protocol.frames import BEAT_TOPIC
from timer_protocol.messages import Beat, Event, LogStanding, ServerAddresses

Connect = Callable[..., Driver]

NOWHERE = "tcp://127.0.0.1:1"


@pytest.fixture
def fakes() -> Iterator[tuple[FakeServer, FakeServer]]:
    """Two scripted servers."""
    with FakeServer() as one, FakeServer() as other:
        yield one, other


def _both(fakes: tuple[FakeServer, FakeServer], **changes: Any) -> Any:
    return quick(*(",".join(getattr(fake, what) for fake in fakes) for what in ("commands", "events")), **changes)


def _asked(client: Driver, fakes: tuple[FakeServer, FakeServer]) -> tuple[FakeServer, FakeServer]:
    """The one that the client asks, and the other."""
    client.get("a")
    asked, other = sorted(fakes, key=lambda fake: not fake.peers)
    asked.next_message()
    return asked, other


# Requests


@pytest.mark.parametrize("place", [0, 1])
def test_one_that_is_down_costs_a_moment(fake: FakeServer, connect: Connect, place: int) -> None:
    servers = [NOWHERE, NOWHERE.replace(":1", ":2")]
    servers.insert(place, fake.commands)
    pauses: list[Pause] = []
    for deadline_s in (0, 10):
        settings = quick(", ".join(servers), timeout_s=LIMIT_S, retry_deadline_s=deadline_s)
        for _ in range(5):  # each client has an order of its own
            assert connect(settings, on_pause=pauses.append).get("a").id == "a"
    assert pauses == []


def test_the_one_that_answers_is_kept_until_it_fails(fakes: tuple[FakeServer, FakeServer], connect: Connect) -> None:
    client = connect(_both(fakes))
    asked, other = _asked(client, fakes)
    for _ in range(5):
        client.get("a")
    assert (len(set(asked.peers)), other.peers) == (1, [])
    asked.stop()
    for _ in range(5):
        client.get("a")
    assert len(set(other.peers)) == 1
    other.stop()
    asked.start()
    assert client.get("a").id == "a"


def test_a_request_without_an_answer_is_sent_to_the_next_as_it_was(
    fakes: tuple[FakeServer, FakeServer], connect: Connect
) -> None:
    pauses: list[Pause] = []
    client = connect(_both(fakes), on_pause=pauses.append)
    asked, other = _asked(client, fakes)
    asked.faults.append(unanswered)
    client.extend("a", seconds=5)
    assert asked.next_message() == other.next_message(), "the key was made before the first try"
    assert pauses == []


def test_one_that_cannot_take_it_now_is_left_and_what_waits_there_goes_on(
    fakes: tuple[FakeServer, FakeServer],
) -> None:
    with TimerClient(settings=_both(fakes, timeout_s=5)) as client, ThreadPoolExecutor(1) as threads:
        asked, other = _asked(client, fakes)  # type: ignore[arg-type] # what both have
        held: list[bytes] = []
        asked.faults += [held.append, refusing(ErrorCode.SHUTTING_DOWN)]  # the first gets no answer
        waiting = threads.submit(client.wait, "slow", 5)
        asked.next_message()
        assert client.get("b").id == "b"
        assert (len(asked.peers), len(other.peers), waiting.done()) == (3, 1, False)
        client.close()
        assert waiting.exception(LIMIT_S) is not None


def test_an_error_names_all_that_were_asked(connect: Connect) -> None:
    two = NOWHERE.replace(":1", ":2")
    client = connect(quick(f"{NOWHERE},{two}", retry_deadline_s=0.2))
    with pytest.raises(ServerUnreachable) as caught:
        client.get("a")
    assert str(caught.value).startswith("none of the servers could be reached: tried ")
    assert str(caught.value).endswith(f"; {NOWHERE}, {two}: nothing there accepts connections")
    assert caught.value.endpoint == f"{NOWHERE},{two}"


def test_what_all_of_them_refuse_is_raised(fakes: tuple[FakeServer, FakeServer], connect: Connect) -> None:
    for fake in fakes:
        fake.faults += [refusing(ErrorCode.SHUTTING_DOWN)] * 1000
    with pytest.raises(ShuttingDown):
        connect(_both(fakes, retry_deadline_s=0.2)).get("a")
    assert all(fake.peers for fake in fakes)


def test_one_that_says_nothing_at_all_is_left_after_a_moment(
    fake: FakeServer, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a machine that is gone: nothing is refused there."""
    monkeypatch.setattr("timer_client.retry._CONNECTS_WITHIN_S", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        servers = [f"tcp://127.0.0.1:{mute.getsockname()[1]}", fake.commands]
        started_s = time.monotonic()
        for _ in range(5):
            assert connect(quick(",".join(servers), timeout_s=LIMIT_S)).get("a").id == "a"
        assert time.monotonic() - started_s < LIMIT_S / 2


def test_servers_may_be_given_as_a_sequence(fake: FakeServer) -> None:
    with TimerClient([NOWHERE, fake.commands], (fake.events,)) as client:
        assert client.settings.server == f"{NOWHERE},{fake.commands}"
        assert client.get("a").id == "a"


# Events


class Store:
    """What all servers answer for, and what they publish, again and again, as nobody knows when a watcher is there."""

    def __init__(self, *fakes: FakeServer, **ends: int) -> None:
        self.ends = ends
        self.unread: list[object] = []
        """The events of the next page."""
        self.info = info_of(ends)
        self.published: list[tuple[FakeServer, bytes, object]] = []
        self.asked: list[str] = []
        for fake in fakes:
            fake.faults += [self._answer] * 1000

    def publish(self, fake: FakeServer, happened: Event) -> None:
        """A server publishes an event from now on."""
        self.published.append((fake, topic_of(happened), happened))

    def beat(self, fake: FakeServer, version: int = 1, **seqs: int) -> None:
        """A server beats from now on."""
        standings = {log: LogStanding(seq, 0) for log, seq in seqs.items()}
        self.published.append((fake, BEAT_TOPIC, Beat(standings, version)))

    def write(self, *happened: Event) -> None:
        """Events are there to be read."""
        self.unread += happened
        self.ends |= {one.log: one.seq for one in happened}

    @contextmanager
    def publishing(self) -> Iterator[None]:
        """Publishes while a block runs."""
        done = threading.Event()
        publishing = threading.Thread(target=self._keep_publishing, args=(done,))
        publishing.start()
        try:
            yield
        finally:
            done.set()
            publishing.join(LIMIT_S)

    def _keep_publishing(self, done: threading.Event) -> None:
        while not done.wait(0.01):
            for fake, topic, body in [*self.published]:
                fake.publish(topic, body)

    def _answer(self, body: bytes) -> bytes | None:
        if b"server.info" in body:
            self.asked.append("info")
            return giving(self.info)(body)
        self.asked.append("read")
        events, self.unread = self.unread, []
        return page_of(body, events, self.ends)


def test_a_log_is_followed_from_one_server_to_the_next(fakes: tuple[FakeServer, FakeServer], connect: Connect) -> None:
    """What only the next one has told, and what nobody has, comes in its place; what both tell comes once."""
    one, other = fakes
    store = Store(*fakes, a=0)
    stream = connect(_both(fakes)).events(after={"a": 0})
    with store.publishing():
        store.publish(one, event(1))
        assert next(stream) == event(1)
        store.publish(other, event(2))
        assert next(stream) == event(2)
        assert store.asked == ["read"]
        store.write(event(3), event(4))
        store.publish(other, event(4))
        assert [next(stream), next(stream)] == [event(3), event(4)]
        assert store.asked == ["read", "read"]


def test_of_a_silent_server_only_its_own_connection_is_made_anew(
    fakes: tuple[FakeServer, FakeServer], connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("timer_client.vigil.SILENCE_S", 0.3)
    silent, other = fakes
    store = Store(*fakes, a=0, b=0)
    store.beat(other, b=0)
    store.write(event(1))
    client = connect(_both(fakes))
    stream = client.events(after={"a": 0, "b": 0})
    with store.publishing():
        assert next(stream) == event(1)
        (subscription,) = client._client._transport._subscriptions
        before = dict(subscription._sockets)
        for seq in (2, 3, 4):
            store.write(event(seq))
            assert next(stream) == event(seq), "no beat names its log"
        assert subscription._sockets[silent.events] is not before[silent.events]
        assert subscription._sockets[other.events] is before[other.events]


def test_servers_that_are_not_in_the_settings_are_heard_too(
    fakes: tuple[FakeServer, FakeServer], connect: Connect
) -> None:
    known, joining = fakes
    store = Store(*fakes, a=0, b=0)
    store.publish(joining, event(1, log="b"))
    stream = connect(quick(known.commands, known.events)).events(after={"a": 0, "b": 0})
    itself, another = (ServerAddresses("", fake.commands, fake.events) for fake in fakes)
    with store.publishing():
        store.beat(known, 2, a=0)
        store.info = replace(store.info, servers=(itself, another), servers_version=2)
        assert next(stream) == event(1, log="b")
        assert store.asked.count("info") == 1


# The command


def test_the_command_shows_the_servers_where_there_are_several(fake: FakeServer) -> None:
    for names, shown in ((["one"], []), (["one", "other"], ["one", "other"])):
        fake.faults.append(giving(info_of({"a": 0}, names)))
        ran = CliRunner(env={"TIMER_SERVER": fake.commands}).invoke(root, ["info"])
        lines = [line.split() for line in ran.output.splitlines() if line.startswith("server ")]
        assert [words[1] for words in lines] == shown
        assert all(words[4] == f"tcp://{words[1]}:8888," for words in lines), lines


def test_the_command_counts_down_where_one_of_two_servers_is_down(tmp_path: Path) -> None:
    with LocalServer() as server:
        where = {
            "TIMER_SERVER": f"{NOWHERE},{server.commands}",
            "TIMER_EVENTS": f"{NOWHERE},{server.events}",
            "TIMER_RETRY_DEADLINE_S": "0",
        }
        started = run(tmp_path, "start", "0.3s", "--id", "tea", "--json", **where)
        assert (started.returncode, json_lines(started.stdout)[-1]["state"]) == (0, "fired"), started.stderr
        with TimerClient(server.commands) as client:
            client.start(seconds=0.5, id="eggs")
        watched = run(tmp_path, "watch", "eggs", "--json", **where)
        assert (watched.returncode, watched.stderr) == (0, "")
