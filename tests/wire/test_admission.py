"""Questions about who may connect, told by a descriptor that is quiet about what the socket has taken note of."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import zmq

from drivers.peers import REPLY_LIMIT_MS
from timer_server.access.admission import Admission
from timer_server.wire.endpoints import Context

QUESTION = [b"", b"1.0", b"1", b"domain", b"127.0.0.1", b"", b"NULL"]


@pytest.fixture
def context() -> Iterator[Context]:
    context = zmq.Context()
    yield context
    context.destroy(linger=0)


@pytest.fixture
def admission(context: Context) -> Admission:
    return Admission(context, None)


@contextmanager
def asker(context: Context) -> Iterator[zmq.Socket[bytes]]:
    """What ZeroMQ itself asks with, for one connection."""
    with context.socket(zmq.DEALER) as socket:
        socket.connect("inproc://zeromq.zap.01")
        yield socket


def test_a_question_that_comes_while_another_is_answered_is_answered_too(
    context: Context, admission: Admission, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = admission._answer

    with asker(context) as first, asker(context) as second:

        def ask_meanwhile(question: object) -> None:
            monkeypatch.undo()
            second.send_multipart(QUESTION)
            answer(question)  # type: ignore[arg-type]  # of a private type

        monkeypatch.setattr(admission, "_answer", ask_meanwhile)
        first.send_multipart(QUESTION)

        admission.admit(also_subscribers=True)

        assert [socket.recv_multipart(zmq.DONTWAIT)[3] for socket in (first, second)] == [b"200", b"200"]


def test_a_poller_wakes_for_each_question_and_a_flood_is_answered_in_parts(
    context: Context, admission: Admission, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("timer_server.access.admission._QUESTIONS_A_TURN", 2)
    poller = zmq.Poller()
    admission.register(poller)
    with asker(context) as asking:
        for questions in (1, 1, 5):
            for _ in range(questions):
                asking.send_multipart(QUESTION)
            ready, turns = dict(poller.poll(REPLY_LIMIT_MS)), 0
            while admission.is_asked(ready):
                admission.admit(also_subscribers=True)
                ready, turns = {}, turns + 1
            assert turns == questions // 2 + 1
            for _ in range(questions):
                asking.recv_multipart(zmq.DONTWAIT)
        assert not poller.poll(0)
