"""Fuzzing finds what is wrong, and finds nothing in the server as it is."""

from itertools import islice
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaigns.fuzz import SEEDS, TOKENS, Subject, fuzz, is_silence_allowed, mutations
from protocol.requests import request_texts
from timer_protocol.frames import Message
from timer_server.requests.dispatch import Dispatcher

pieces = st.binary(max_size=30) | request_texts().map(str.encode) | st.sampled_from(SEEDS) | st.sampled_from(TOKENS)


@given(st.lists(st.lists(pieces, min_size=1, max_size=4).map(b"".join), max_size=8), st.sampled_from([1, 3]))
def test_any_messages_one_after_the_other(messages: list[bytes], shards: int) -> None:
    subject = Subject(shards)
    for message in messages:
        subject.take(message)


@pytest.mark.parametrize(("shards", "count"), [(1, 5000), (3, 2000)])
def test_messages_mutated_at_random(shards: int, count: int) -> None:
    executions, findings = fuzz(islice(mutations(Random(shards)), count), shards)  # noqa: S311 - mutations, not secrets

    assert findings == []
    assert executions == count


@pytest.mark.thorough
def test_a_fault_is_found_by_fuzzing(monkeypatch: pytest.MonkeyPatch) -> None:
    handle = Dispatcher.handle

    def fail(self: Dispatcher, message: Message, now_ns: int) -> object:
        assert b"\x0c" not in message.frames[-1]
        return handle(self, message, now_ns)

    monkeypatch.setattr(Dispatcher, "handle", fail)
    executions, findings = fuzz(islice(mutations(Random(1)), 50_000))  # noqa: S311 - mutations, not secrets

    assert len(findings) == 10
    assert len(findings) < executions < 50_000


@pytest.mark.parametrize(
    "body",
    [b"{}", b"[]", b"[1]", b'{"id":1}', b"[" * 2000, b'[{"jsonrpc":"2.0"},{"id":null}]', b"{"],
)
def test_silence_is_no_answer_to(body: bytes) -> None:
    assert is_silence_allowed(body) == (body == b"{}")
