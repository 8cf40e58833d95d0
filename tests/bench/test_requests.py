"""Requests are well-formed in each server's language, and all carry the same payload."""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import pytest

from bench.changes import VERBS, in_pages, one_by_one
from bench.generator import Target, drive, lines, zmtp
from bench.peers.beanstalkd_server import puts
from bench.peers.redis_requests import bulk, scripted, together
from bench.start_requests import PAYLOAD_JSON, batched, start_requests
from drivers.peers import Requester
from local_server import LocalServer


def test_the_payload_is_32_bytes_of_json() -> None:
    assert len(PAYLOAD_JSON) == 32
    assert msgspec.json.decode(PAYLOAD_JSON) == "x" * 30


def test_batches_hold_all_requests() -> None:
    batches = batched(start_requests("order", range(250)), 100)
    assert [len(msgspec.json.decode(batch)) for batch in batches] == [100, 100, 50]


def test_redis_gets_the_same_timers() -> None:
    (one,) = bulk("order", range(2), 500)
    assert one.startswith(b"*6\r\n$4\r\nHSET\r\n$8\r\npayloads\r\n$7\r\norder/0\r\n$32\r\n" + PAYLOAD_JSON)
    assert b"*6\r\n$4\r\nZADD\r\n$3\r\ndue\r\n$13\r\n4000000000000\r\n$7\r\norder/0\r\n" in one
    assert scripted(b"sha", "late", [7], [5])[0].endswith(
        b"$6\r\nlate/7\r\n$1\r\n5\r\n$32\r\n" + PAYLOAD_JSON + b"\r\n"
    )
    assert together([b"a", b"b", b"c"], 2) == [b"ab", b"c"]


def test_beanstalkd_gets_them_too() -> None:
    assert puts("order", [7]) == [b"put 0 36000 60 40\r\norder/7 " + PAYLOAD_JSON + b"\r\n"]


def test_the_generator_starts_timers(server: LocalServer, rpc: Requester) -> None:
    outcome = drive(zmtp(server.commands), batched(start_requests("order", range(1_000)), 100), 2, 3)
    assert outcome.messages == 10
    assert b'"running"' in outcome.last_reply
    assert rpc.call("server.info")["counts"]["running"] == 1_000


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("request_for", [in_pages, one_by_one])
def test_timers_are_changed_in_pages_and_one_by_one(
    server: LocalServer, rpc: Requester, verb: str, request_for: Callable[[str, Sequence[str]], bytes]
) -> None:
    ids = [rpc.call("timer.start", id=f"order/{number}", seconds=3600)["id"] for number in range(3)]
    if verb == "resume":
        rpc.call("timer.change_many", action="pause", ids=ids)

    drive(zmtp(server.commands), [request_for(verb, ids)], 1, 1)

    (seq,) = [log["seq"] for log in rpc.call("server.info")["logs"].values()]
    assert [event["kind"] for event in events_of(rpc)[seq - 3 :]] == [f"{verb.removesuffix('e')}ed"] * 3


def events_of(rpc: Requester) -> list[dict[str, Any]]:
    """All events so far."""
    events: list[dict[str, Any]] = rpc.call("events.read", after={})["events"]
    return events


def test_a_target_of_lines_takes_requests_as_they_are() -> None:
    target: Target = lines("tcp://127.0.0.1:1", b":")
    assert target.framed(b"PING\r\n") == b"PING\r\n"
