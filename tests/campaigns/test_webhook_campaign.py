"""The campaign about webhooks finds what is wrong: in what an endpoint was asked, and of senders with a fault."""

import json
from pathlib import Path
from typing import Any

import pytest

from campaigns.hasty_webhooks import SABOTAGES
from campaigns.webhook_invariants import INVARIANTS, Facts, judge_webhooks
from campaigns.webhooks import HASTY, PREFIX, QUEUE, SECRET, drained, write_config
from drivers.peers import requester
from drivers.sender_process import SenderProcess
from drivers.server_process import ServerProcess
from drivers.webhook_receiver import Received, Receiver, redirecting_to
from timer_webhooks.signing import key_of, signed_headers

NOW_S = 1_000
EMPTY = dict.fromkeys(("ready", "leased", "delayed", "dead", "dropped"), 0)

FOUND_BY = {
    "changes_ids": {"the_id_stays_the_same"},
    "acknowledges_first": {"every_end_is_delivered"},
    "believes_redirects": {"every_end_is_delivered"},
    "signs_with_nothing": {"every_attempt_is_signed"},
}


def attempt(
    timer_id: str, mood: str = "ok", *, at_s: int = NOW_S, sent_s: int = NOW_S, secret: str = SECRET, **changes: Any
) -> Received:
    """A request as it should be, but for what is changed."""
    webhook_id = changes.pop("webhook_id", f"end_{timer_id}")
    data = {"id": timer_id, "state": "fired", "ended_at_ms": (NOW_S - 1) * 1000} | changes
    body = json.dumps({"type": f"timer.{data['state']}", "data": data}).encode()
    signed = signed_headers(webhook_id, body, [key_of(secret)], sent_s)
    headers = {name.decode(): value.decode() for name, value in signed}
    return Received("POST / HTTP/1.1", headers, body, mood, at_s * 1000)


def facts(*received: Received, strayed: int = 0, **queue: int) -> Facts:
    return Facts.of(["1", "2"], SECRET, received, strayed, EMPTY | queue)


def good() -> Facts:
    return facts(attempt("1"), attempt("1"), attempt("2", "failing"), attempt("2", at_s=NOW_S + 1))


TOLD: dict[str, tuple[Facts, set[str]]] = {
    "all is well": (good(), set()),
    "never sent": (facts(attempt("1")), {"every_end_is_delivered"}),
    "never taken": (facts(attempt("1"), attempt("2", "failing")), {"every_end_is_delivered"}),
    "another id": (
        facts(attempt("1"), attempt("2"), attempt("2", webhook_id="end_3")),
        {"the_id_stays_the_same"},
    ),
    "one id for two": (facts(attempt("1"), attempt("2", webhook_id="end_1")), {"the_id_stays_the_same"}),
    "out of nowhere": (facts(attempt("1"), attempt("2"), attempt("3")), {"none_comes_from_nowhere"}),
    "never fired": (facts(attempt("1"), attempt("2", state="cancelled")), {"none_comes_from_nowhere"}),
    "too early": (facts(attempt("1"), attempt("2", ended_at_ms=(NOW_S + 1) * 1000)), {"none_comes_from_nowhere"}),
    "told differently": (facts(attempt("1"), attempt("1", label="x"), attempt("2")), {"none_comes_from_nowhere"}),
    "another secret": (
        facts(attempt("1"), attempt("2", secret="whsec_" + "A" * 32)),
        {"every_attempt_is_signed"},
    ),
    "an old timestamp": (facts(attempt("1"), attempt("2", sent_s=NOW_S - 60)), {"every_attempt_is_signed"}),
    "redirected": (facts(attempt("1"), attempt("2"), strayed=1), {"nothing_strays"}),
    "something left": (facts(attempt("1"), attempt("2"), delayed=1), {"nothing_is_left"}),
    "given up": (facts(attempt("1"), attempt("2"), dead=1), {"nothing_is_left"}),
}


@pytest.mark.parametrize("story", TOLD)
def test_what_is_wrong_is_named(story: str) -> None:
    told, expected = TOLD[story]
    found = judge_webhooks(told)
    assert {violation.invariant for violation in found} == expected, list(map(str, found))


def test_every_invariant_can_be_violated() -> None:
    assert set().union(*(found for _, found in TOLD.values())) == {invariant.__name__ for invariant in INVARIANTS}


@pytest.mark.thorough
def test_planted_faults_are_found(tmp_path: Path) -> None:
    """Each sender, the faultless one too, meets an endpoint that fails, redirects, and then takes what comes."""
    with ServerProcess(tmp_path) as server:
        for sabotage in ("", *SABOTAGES):
            found = judge_webhooks(short_day(server, tmp_path, sabotage))
            expected = FOUND_BY.get(sabotage, set())
            assert {violation.invariant for violation in found} == expected, (sabotage, list(map(str, found)))


def short_day(server: ServerProcess, folder: Path, sabotage: str) -> Facts:
    timer_ids = [f"{PREFIX}{sabotage or 'good'}/{number}" for number in range(2)]
    with Receiver("redirecting") as receiver, Receiver() as elsewhere, requester(server.commands) as rpc:
        receiver.moods["redirecting"] = redirecting_to(elsewhere.url)
        write_config(folder, receiver.url)
        rpc.call("queue.put", queue=QUEUE, prefix=PREFIX, lease_ms=60_000, max_deliveries=0)
        with SenderProcess(folder, server.commands, HASTY, SABOTAGE=sabotage, EXCHANGE_S="15"):
            for mood, timer_id in zip(("redirecting", "failing"), timer_ids, strict=True):
                receiver.mood = mood
                before = len(receiver.received)
                rpc.call("timer.start", id=timer_id, seconds=0.001)
                receiver.wait_for(before + 1)
            receiver.mood = "ok"
            queue = drained(server)
        return Facts.of(timer_ids, SECRET, receiver.received, len(elsewhere.received), queue)
