"""Each limit: the request that goes beyond it, and the error that states it; or the test that shows what happens."""

import ast
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import zmq

from docs.protocol_document import plain, tables
from drivers.peers import Requester, request, requester, socket_to
from drivers.raw_zmtp import message, raw_peer
from local_server import LocalServer
from timer_protocol import limits
from timer_protocol.limits import PAYLOAD_DEPTH, Limits
from timer_server.requests import event_pages, listing, parked, room
from timer_server.wire import commands, events

TESTS = Path(__file__).parent.parent

OWN = Limits(max_timers=3, max_payload_bytes=100, max_batch=3, max_message_bytes=20_000, max_duration_s=1000)

STATED: dict[str, tuple[Any, int, str]] = {
    "max_timers": (
        request("timer.start", 1, id="one-too-many", minutes=1),
        -32004,
        "max_timers allows no more",
    ),
    "max_payload_bytes": (
        request("timer.start", 1, minutes=1, payload="x" * 99),
        -32004,
        "max_payload_bytes is 100",
    ),
    "max_batch": ([request("server.info", 1)] * 4, -32004, "max_batch is 3"),
    "max_message_bytes": (b"{".ljust(20_001), -32004, "max_message_bytes is 20000"),
    "max_duration_s": (request("timer.start", 1, seconds=1001), -32602, "1000"),
    "parked_requests": (request("timer.wait", 1, id="t/0", wait_ms=60_000), -32004, "parked_requests is 0"),
    "parked_bytes": ([request("timer.wait", 1, id="t/0", wait_ms=60_000)], -32004, "parked_bytes is 0"),
    "characters of a request's id": (request("server.info", "x" * 257), -32600, "at most 256 characters"),
    "characters of an id, a prefix or after": (request("timer.get", 1, id="x" * 129), -32602, "length <= 128"),
    "characters of a label": (request("timer.start", 1, minutes=1, label="x" * 257), -32602, "length <= 256"),
    "characters of a key": (request("timer.restart", 1, id="t/0", key="x" * 129), -32602, "length <= 128"),
    "characters of a moment": (request("timer.start", 1, at="x" * 65), -32602, "length <= 64"),
    "characters of a zone": (request("timer.start", 1, at="2030-01-01T09:00", zone="x" * 65), -32602, "length <= 64"),
    "characters of a log's id": (request("events.read", 1, after={"x" * 12: 1}), -32602, "length <= 11"),
    "logs of a store, and in a cursor": (
        request("events.read", 1, after={str(number): 1 for number in range(1025)}),
        -32602,
        "length <= 1024",
    ),
    "sum of the amounts of time, ms": (
        request("timer.extend", 1, id="t/0", hours=-(2**53)),
        -32602,
        "more than 9007199254740992 ms",
    ),
    "limit of a page, maximum": (request("timer.list", 1, limit=1001), -32602, "<= 1000"),
    "reply_bytes": ([request("timer.get", 1, id="t/0")] * 3, -32004, "reply_bytes is 50"),
    "reply_entries": ([request("timer.list", 1)] * 3, -32004, "reply_entries is 4"),
    "wait_ms": (request("timer.wait", 1, id="t/0", wait_ms=3_600_001), -32602, "<= 3600000"),
}
"""A message that exceeds it, the number of the error, and what its reason says."""

LOWERED = {
    "parked_requests": (parked, "PARKED_MAXIMUM", 0),
    "parked_bytes": (parked, "PARKED_BYTES", 0),
    "reply_bytes": (room, "REPLY_BYTES", 50),
    "reply_entries": (room, "REPLY_ENTRIES", 4),
}
"""Limits that are too high to be reached here."""

IN_TEXTS: dict[str, tuple[list[bytes], str]] = {
    "bytes of the envelope": ([b"x" * 1025, b"", b"0"], "at most 1024 bytes"),
    "frames of a message": ([b"0"] * 17, "at most 16 frames"),
    "max_message_bytes": ([b"0" * 20_001], "more bytes than a message may have"),
}
"""Frames of a DEALER that exceed it, and what the text says that begins with `error: `."""

SHOWN: dict[str, str] = {
    "characters of a tracestate": "protocol/test_traces.py::test_another_tracestate_is_told_with_what_is_allowed",
    "members of a tracestate": "protocol/test_traces.py::test_another_tracestate_is_told_with_what_is_allowed",
    "percent of these two for one connection": (
        "server/test_shares.py::test_one_connection_has_half_of_the_places_and_is_told_so"
    ),
    "percent of these two for all connections of one key": (
        "server/test_shares.py::test_one_key_has_three_quarters_of_them"
    ),
    "forwarded_requests": "server_requests/test_forwards.py::test_on_requests_of_one_connection_and_of_all",
    "forwarded_bytes": "server_requests/test_forwards.py::test_on_bytes",
    "a request waits at least, ms": (
        "server_requests/test_shares.py::test_what_has_waited_for_a_second_is_answered_as_it_stands"
    ),
    "requests that give way to one message": (
        "server_requests/test_shares.py::test_no_more_give_way_to_one_message_than_are_answered_in_a_turn"
    ),
    "retention_s": "server/test_retention.py::test_ended_timers_go_and_pending_ones_stay",
    "bytes of requests that wait to be handled, of all peers": (
        "server/test_intake.py::test_a_flood_of_requests_is_cut_off_and_honest_clients_come_back"
    ),
    "keys remembered of a timer": "core/test_engine_requests.py::test_only_the_latest_keys_are_remembered",
    "limit of a page, default": "server/test_limits.py::test_a_page_has_a_hundred_timers_unless_more_are_asked_for",
    "payload bytes of a page": (
        "server_requests/test_methods.py::test_page_ends_early_where_its_payloads_are_large_and_the_next_goes_on"
    ),
    "entries looked at for a page": "server/test_limits.py::test_a_page_ends_where_enough_was_looked_at",
    "bytes looked through for a page of events": (
        "server_requests/test_event_pages.py::test_a_page_ends_where_enough_was_read"
    ),
    "payload bytes of a page that was waited for": (
        "server/test_limits.py::test_a_page_that_was_waited_for_ends_early"
    ),
    "bytes of a message between servers": (
        "wire/test_peer_bounds.py::test_what_is_too_large_is_not_sent_and_breaks_the_connection_where_it_is_all_the_same"
    ),
    "bytes of requests queued for a server that does not read": (
        "wire/test_peer_bounds.py::test_a_server_that_does_not_read_gets_no_more_requests"
    ),
    "connections where servers connect that have not said whose they are": (
        "wire/test_peer_strangers.py::test_who_says_nothing_is_cut_and_only_so_many_are_there_at_once"
    ),
    "texts of an unfinished triple are kept, s": (
        "server_requests/test_dialogue.py::test_half_a_triple_expires_counted_from_its_beginning"
    ),
    "unfinished triples": (
        "server_requests/test_dialogue.py::test_half_finished_triples_are_bounded_and_the_oldest_goes"
    ),
    "texts of the dialogue logged in a second": "server_requests/test_dialogue.py::test_a_flood_is_logged_in_part",
    "interval of ~beat, ms": "server/test_events.py::test_beats_tell_the_last_seq_and_the_clock",
    "replies queued for a peer that does not read": (
        "server/test_limits.py::test_replies_beyond_the_queue_of_a_peer_are_dropped"
    ),
    "bytes of replies queued for a peer that does not read": (
        "process/test_memory.py::test_a_peer_that_asks_for_large_pages_and_never_reads"
    ),
    "bytes of replies queued for all such peers": (
        "wire/test_backlog.py::test_where_all_together_hold_too_much_those_who_read_get_small_replies"
    ),
    "events queued for a subscriber that does not read": (
        "server/test_limits.py::test_events_beyond_the_queue_of_a_subscriber_are_dropped"
    ),
    "bytes of events queued for the slowest subscriber": (
        "server/test_subscribers.py::test_a_subscriber_that_never_reads_is_cut_off_with_the_others_and_they_come_back"
    ),
    "bytes of a subscription": (
        "server/test_subscribers.py::test_a_longer_subscription_than_any_topic_cuts_its_peer_off"
    ),
    "bytes of topics of a subscriber": (
        "server/test_subscribers.py::test_one_with_too_many_topics_is_cut_off_and_nobody_else"
    ),
    "subscriptions of a subscriber without a pause": (
        "wire/test_subscriptions.py::test_one_who_subscribes_without_a_pause_is_cut_off"
    ),
    "bytes of all topics subscribed to": (
        "wire/test_subscriptions.py::test_where_all_have_too_many_the_one_with_the_most_is_cut_off"
    ),
}
"""Those that nobody is told of by an error, and the tests that show what happens."""


@pytest.fixture
def limited(limit: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalServer]:
    """A server with limits that are soon reached, and as many timers as it takes."""
    if limit in LOWERED:
        monkeypatch.setattr(*LOWERED[limit])
    with LocalServer(limits=OWN) as server, requester(server.commands) as rpc:
        for number in range(3):
            rpc.call("timer.start", id=f"t/{number}", minutes=1, payload="x" * 60)
        yield server


@pytest.mark.parametrize("limit", STATED)
def test_is_stated_by_an_error(limited: LocalServer, limit: str) -> None:
    message, code, said = STATED[limit]
    with socket_to(zmq.REQ, limited.commands) as socket:
        socket.send(message if isinstance(message, bytes) else json.dumps(message).encode())
        reply = json.loads(socket.recv())
    error = (reply[-1] if isinstance(reply, list) else reply)["error"]
    assert error["code"] == code
    assert said in error["data"]["reason"]
    if code == -32004:
        assert said.startswith(error["data"]["limit"])
        assert error["data"]["scope"] in ("server", "key", "connection")
        assert error["data"]["later"] is (limit in ("max_timers", "parked_requests", "parked_bytes"))


def test_nesting_is_stated_by_an_error(rpc: Requester) -> None:
    deep: list[Any] = []
    for _ in range(PAYLOAD_DEPTH):
        deep = [deep]
    error = rpc.error("timer.start", minutes=1, payload=deep)
    assert error["code"] == -32602
    assert "100" in error["data"]["reason"]


@pytest.mark.parametrize("limit", IN_TEXTS)
def test_is_stated_by_a_text(limited: LocalServer, limit: str) -> None:
    frames, said = IN_TEXTS[limit]
    with socket_to(zmq.DEALER, limited.commands) as socket:
        socket.send_multipart(frames)
        (text,) = socket.recv_multipart()
    assert text.startswith(b"error: ")
    assert said in text.decode()


def test_every_limit_is_stated_or_shown() -> None:
    covered = {*STATED, *IN_TEXTS, *SHOWN, "objects and arrays within one another in a payload"}
    assert covered == {plain(row["limit"]) for row in tables("Limits")[0]}
    for shown in SHOWN.values():
        path, name = shown.split("::")
        tree = ast.parse((TESTS / path).read_text())
        assert name in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}, shown


def test_a_page_has_a_hundred_timers_unless_more_are_asked_for(rpc: Requester) -> None:
    for number in range(limits.PAGE_DEFAULT + 1):
        rpc.call("timer.start", id=f"t/{number:03}", minutes=1)
    assert len(rpc.call("timer.list")["timers"]) == limits.PAGE_DEFAULT
    assert len(rpc.call("timer.list", limit=1000)["timers"]) == limits.PAGE_DEFAULT + 1


def test_a_page_ends_where_enough_was_looked_at(rpc: Requester, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (listing, event_pages):
        monkeypatch.setattr(module, "SCAN_MAXIMUM", 2)
    for number in range(5):
        rpc.call("timer.start", id=f"t/{number}", minutes=1)
    page = rpc.call("timer.list", state="paused")
    assert page == {"timers": [], "next": "t/1"}
    assert len(rpc.events()["events"]) == 2


def test_a_page_that_was_waited_for_ends_early(
    server: LocalServer, rpc: Requester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_pages, "PARKED_PAGE_BYTES", 50)
    with socket_to(zmq.DEALER, server.commands) as waits, socket_to(zmq.REQ, server.commands) as starts:
        waits.send_json(request("events.read", 1, after={}, wait_ms=10_000))
        waits.send_json(request("server.info", 2))
        assert json.loads(waits.recv())["id"] == 2
        starts.send_json([request("timer.start", number, minutes=1, payload="x" * 60) for number in range(3)])
        page = json.loads(waits.recv())["result"]
    assert [event["seq"] for event in page["events"]] == [1]
    assert (list(page["next"].values()), page["more"]) == ([1], True)


def test_replies_beyond_the_queue_of_a_peer_are_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands, "REPLIES_QUEUED", 10)
    with LocalServer() as server, requester(server.commands) as rpc, raw_peer(server.commands) as deaf:
        rpc.call("timer.start", id="large", minutes=1, payload="x" * 20_000)
        ask = message(json.dumps(request("timer.get", 1, id="large")).encode())
        deaf.shake_hands(b"DEALER").send(ask * 2_000)
        assert server.wait_for_log("replies dropped: peers gone or not reading")["count"] > 0
        assert rpc.call("timer.get", id="large")["state"] == "running"


def last_seq(beat: dict[str, Any]) -> int:
    """The `seq` that a beat tells of the only log."""
    ((_, standing),) = beat["logs"].items()
    return int(standing["seq"])


def test_events_beyond_the_queue_of_a_subscriber_are_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "EVENTS_QUEUED", 10)
    with LocalServer() as server, requester(server.commands) as rpc:
        with socket_to(zmq.SUB, server.events, rcvhwm=1) as slow:
            slow.subscribe(b"")
            assert slow.recv_multipart()[0] == b"~beat"
            rpc.call("timer.start", id="large", hours=1, payload="x" * 60_000)
            restarts = 600
            for _ in range(restarts):
                rpc.call("timer.restart", id="large")
            heard: list[dict[str, Any]] = []
            while not heard or "logs" not in heard[-1] or last_seq(heard[-1]) <= restarts:
                heard.append(json.loads(slow.recv_multipart()[1]))
        assert 0 < sum("timer" in body for body in heard) < restarts
