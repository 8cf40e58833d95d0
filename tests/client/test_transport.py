"""Both clients over real sockets, against a server that misbehaves on command."""

import os
import socketserver
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import zmq

from client.fake_server import FakeServer, answered, refusing, refusing_some, saying, unanswered
from drivers.both_clients import LIMIT_S, Driver, quick
from drivers.restrictions import no_descriptor_left
from timer_client import (
    BadReply,
    ClientClosed,
    IdConflict,
    LocalFailure,
    Pause,
    ServerUnreachable,
    ShuttingDown,
    TimerClient,
    TimerSpec,
)
from timer_protocol.errors import ErrorCode

Connect = Callable[..., Driver]

NOWHERE = "tcp://127.0.0.1:1"


def test_a_call_is_answered(fake: FakeServer, connect: Connect) -> None:
    assert connect(quick(fake.commands)).get("a").id == "a"
    (request,) = fake.next_message()
    assert request["method"] == "timer.get"


def test_calls_share_a_connection(fake: FakeServer, connect: Connect) -> None:
    client = connect(quick(fake.commands))
    for _ in range(5):
        client.get("a")
    assert len(set(fake.peers)) == 1


def test_a_request_that_times_out_is_sent_again_over_a_new_socket(fake: FakeServer, connect: Connect) -> None:
    fake.faults += [unanswered, unanswered]
    pauses: list[Pause] = []
    client = connect(quick(fake.commands), on_pause=pauses.append)
    client.extend("a", seconds=5)
    assert len(set(fake.peers)) == 3
    assert [pause.reason for pause in pauses] == ["no reply within 0.3 s"] * 2
    messages = [fake.next_message() for _ in range(3)]
    assert messages[0] == messages[1] == messages[2], "the key was made before the first try"


def test_what_on_pause_raises_reaches_the_caller(fake: FakeServer, connect: Connect) -> None:
    def impatient(_: Pause) -> None:
        raise RuntimeError("enough")

    fake.faults += [unanswered]
    client = connect(quick(fake.commands), on_pause=impatient)
    with pytest.raises(RuntimeError, match="enough"):
        client.get("a")


def test_a_server_that_comes_later_is_waited_for(connect: Connect) -> None:
    with FakeServer() as server:
        server.stop()
        client = connect(quick(server.commands), on_pause=lambda pause: pause.tries == 2 and server.start())
        assert client.get("a").id == "a"


def test_a_restart_is_noticed_at_once(fake: FakeServer, connect: Connect) -> None:
    """Well before the time-out: a lost connection ends the attempt."""
    client = connect(quick(fake.commands, timeout_s=LIMIT_S))
    client.get("a")
    started_s = time.monotonic()
    fake.faults.append(lambda _: _go_away(fake))
    assert client.get("b").id == "b"
    assert time.monotonic() - started_s < LIMIT_S / 2


def _go_away(server: FakeServer) -> None:
    """A fault: the server ends without an answer, and another one takes its place."""

    def replace() -> None:
        server.stop()
        server.start()

    threading.Thread(target=replace, daemon=True).start()


def test_a_connection_that_was_lost_while_idle_is_replaced(fake: FakeServer, connect: Connect) -> None:
    client = connect(quick(fake.commands, timeout_s=LIMIT_S))
    client.get("a")
    fake.stop()
    fake.start()
    assert client.get("b").id == "b"


@pytest.mark.alone
def test_giving_up_says_where_and_how_long(connect: Connect) -> None:
    client = connect(quick(NOWHERE, retry_deadline_s=0.3))
    started_s = time.monotonic()
    with pytest.raises(ServerUnreachable, match=r"tcp://127.0.0.1:1 could not be reached: tried \d+ times in 0\.") as e:
        client.get("a")
    assert 0.25 <= time.monotonic() - started_s < 2
    assert e.value.retryable
    assert e.value.endpoint == NOWHERE


def test_a_silent_server_is_given_up_at_the_deadline(fake: FakeServer, connect: Connect) -> None:
    fake.faults += [unanswered] * 100
    client = connect(quick(fake.commands, timeout_s=LIMIT_S, retry_deadline_s=0.4))
    with pytest.raises(ServerUnreachable, match=r"no reply within 0\.4 s"):
        client.get("a")


class _WebServer(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        self.wfile.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")


def test_what_speaks_another_protocol_is_given_up(connect: Connect) -> None:
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), _WebServer) as stranger:
        serving = threading.Thread(target=stranger.serve_forever, args=(0.05,))
        serving.start()
        try:
            client = connect(quick(f"tcp://127.0.0.1:{stranger.server_address[1]}", retry_deadline_s=0.5))
            with pytest.raises(ServerUnreachable):
                client.get("a")
        finally:
            stranger.shutdown()
            serving.join(LIMIT_S)


def test_a_retryable_error_is_retried(fake: FakeServer, connect: Connect) -> None:
    fake.faults += [refusing(ErrorCode.SHUTTING_DOWN), refusing(ErrorCode.STORAGE_FAILED)]
    assert connect(quick(fake.commands)).get("a").id == "a"
    assert len(fake.peers) == 3


def test_a_retryable_error_is_raised_at_the_deadline(fake: FakeServer, connect: Connect) -> None:
    fake.faults += [refusing(ErrorCode.SHUTTING_DOWN)] * 1000
    with pytest.raises(ShuttingDown) as caught:
        connect(quick(fake.commands, retry_deadline_s=0.2)).get("a")
    assert caught.value.retryable


def test_another_error_is_raised_at_once(fake: FakeServer, connect: Connect) -> None:
    fake.faults.append(refusing(ErrorCode.ID_CONFLICT))
    with pytest.raises(IdConflict) as caught:
        connect(quick(fake.commands)).start(1)
    assert not caught.value.retryable
    assert len(fake.peers) == 1


def test_a_reply_that_makes_no_sense_is_raised_at_once(fake: FakeServer, connect: Connect) -> None:
    fake.faults.append(saying(b"what?"))
    with pytest.raises(BadReply):
        connect(quick(fake.commands)).get("a")
    assert len(fake.peers) == 1


def test_a_late_reply_is_not_taken_for_another_ones(fake: FakeServer, connect: Connect) -> None:
    """The reply to the first request comes with that to the second, whose connection is another."""
    client = connect(quick(fake.commands))
    fake.faults.append(unanswered)
    assert client.get("first").id == "first"
    assert client.get("second").id == "second"


def test_many_timers_are_started_in_order(fake: FakeServer, connect: Connect) -> None:
    specs = [TimerSpec(id=f"t{number}", seconds=1) for number in range(1234)]
    timers = connect(quick(fake.commands)).start_many(iter(specs))
    assert [timer.id for timer in timers] == [spec.id for spec in specs]
    assert len(fake.peers) == 13


def test_starting_no_timers_sends_nothing(fake: FakeServer, connect: Connect) -> None:
    assert connect(quick(fake.commands)).start_many([]) == []
    assert fake.peers == []


def test_of_many_timers_only_what_may_pass_is_sent_again(fake: FakeServer, connect: Connect) -> None:
    fake.faults += [refusing_some({5, 7}, ErrorCode.SHUTTING_DOWN), unanswered]
    timers = connect(quick(fake.commands)).start_many(TimerSpec(id=f"t{number}", seconds=1) for number in range(10))
    assert [timer.id for timer in timers] == [f"t{number}" for number in range(10)]
    sizes = [len(fake.next_message()) for _ in range(3)]
    assert sizes == [10, 2, 2]


def test_the_first_error_of_many_timers_is_raised(fake: FakeServer, connect: Connect) -> None:
    fake.faults.append(refusing_some({3}, ErrorCode.ID_CONFLICT))
    with pytest.raises(IdConflict):
        connect(quick(fake.commands, timeout_s=5)).start_many(TimerSpec(seconds=1) for _ in range(5000))


def test_closing_twice_does_no_harm(fake: FakeServer, connect: Connect) -> None:
    client = connect(quick(fake.commands))
    client.get("a")
    client.close()
    client.close()


@pytest.mark.alone
def test_closing_while_the_server_is_out_of_reach_is_quick(connect: Connect) -> None:
    client = connect(quick(NOWHERE, retry_deadline_s=0))
    with pytest.raises(ServerUnreachable):
        client.get("a")
    started_s = time.monotonic()
    client.close()
    assert time.monotonic() - started_s < 1


# Threads


def test_threads_share_a_client(fake: FakeServer) -> None:
    with TimerClient(settings=quick(fake.commands, timeout_s=5)) as client, ThreadPoolExecutor(8) as threads:
        ids = [f"t{number}" for number in range(400)]
        assert [timer.id for timer in threads.map(client.get, ids)] == ids


def test_a_long_wait_holds_no_other_thread_up(fake: FakeServer) -> None:
    waiting = threading.Event()
    release = threading.Event()

    def hold_back(body: bytes) -> None:
        waiting.set()

    fake.faults.append(hold_back)
    with TimerClient(settings=quick(fake.commands, timeout_s=0.5)) as client, ThreadPoolExecutor(1) as threads:
        future = threads.submit(client.wait, "slow", 1)
        assert waiting.wait(LIMIT_S)
        assert client.get("other").id == "other"
        assert not future.done()
        release.set()
        assert future.result(LIMIT_S).id == "slow"


@pytest.mark.alone
@pytest.mark.parametrize("server_answers", [True, False], ids=["silent", "absent"])
def test_closing_ends_the_calls_of_other_threads(fake: FakeServer, server_answers: bool) -> None:
    asked = threading.Event()

    def never(_: bytes) -> None:
        asked.set()

    fake.faults += [never] * 100
    settings = quick(fake.commands if server_answers else NOWHERE, timeout_s=60, retry_deadline_s=60, retry_max_s=30)
    client = TimerClient(settings=settings, on_pause=lambda _: asked.set())
    with ThreadPoolExecutor(1) as threads:
        future = threads.submit(client.get, "a")
        assert asked.wait(LIMIT_S)
        started_s = time.monotonic()
        client.close()
        assert time.monotonic() - started_s < 1
        with pytest.raises(ClientClosed):
            future.result(LIMIT_S)
    with pytest.raises(ClientClosed):
        client.get("a")


def test_hundreds_of_threads_wait_over_one_connection(fake: FakeServer) -> None:
    """More than ZeroMQ has sockets for, or a process descriptors, if each thread had its own."""
    threads, held, all_there = 1100, [], threading.Event()

    def hold_back(body: bytes) -> None:
        held.append(body)
        if len(held) == threads:
            all_there.set()

    fake.faults += [hold_back] * threads
    before = len(list(Path("/proc/self/fd").iterdir()))
    client = TimerClient(settings=quick(fake.commands, timeout_s=60))
    with ThreadPoolExecutor(threads + 1) as pool:
        waiting = [pool.submit(client.wait, f"t{number}") for number in range(threads)]
        assert all_there.wait(LIMIT_S)
        assert len(list(Path("/proc/self/fd").iterdir())) - before < 20
        assert client.get("other").id == "other"
        assert len(set(fake.peers)) == 1
        fake.stop()  # all of them notice, and ask the next server
        fake.start()
        assert [future.result(60).id for future in waiting] == [f"t{number}" for number in range(threads)]
    client.close()


def test_a_time_out_of_one_thread_is_not_that_of_the_others(fake: FakeServer) -> None:
    pauses: list[Pause] = []
    fake.faults += [unanswered, unanswered]
    with TimerClient(settings=quick(fake.commands), on_pause=pauses.append) as client, ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(client.wait, "a", 5)
        fake.next_message()
        assert client.get("b").id == "b"
        assert [pause.tries for pause in pauses] == [1]
        assert not waiting.done()
        assert len(set(fake.peers)) == 2
        client.close()
        with pytest.raises(ClientClosed):
            waiting.result(LIMIT_S)


@pytest.mark.parametrize("used", [True, False])
def test_closing_in_many_threads_at_once_ends_the_context_once(fake: FakeServer, used: bool) -> None:
    for _ in range(20):
        client = TimerClient(settings=quick(fake.commands, fake.events))
        if used:
            client.get("a")
            reading = threading.Thread(target=_read_until_closed, args=(client,))
            reading.start()
            fake.next_message()
            fake.next_message()
        contexts = [client._transport._context]
        closing = [threading.Thread(target=client.close) for _ in range(8)]
        for thread in closing:
            thread.start()
        if used:
            closing.append(reading)
        for thread in closing:
            thread.join(LIMIT_S)
            assert not thread.is_alive()
        assert all(context is None or context.closed for context in contexts)


def _read_until_closed(client: TimerClient) -> None:
    with pytest.raises(ClientClosed):
        next(client.events(after="start"))


def test_a_context_that_is_shared_stays_open() -> None:
    with zmq.Context() as context, context.socket(zmq.ROUTER) as router:
        router.linger = 0
        router.bind("inproc://timers")
        answering = threading.Thread(target=_answer_once, args=(router,), daemon=True)
        answering.start()
        with TimerClient("inproc://timers", context=context) as client:
            assert client.get("a").id == "a"
        answering.join(LIMIT_S)
        assert not context.closed


def _answer_once(router: "zmq.Socket[bytes]") -> None:
    *envelope, body = router.recv_multipart()
    router.send_multipart([*envelope, answered(body)])


@pytest.mark.parametrize("left", [0, 3, 5])
def test_a_client_without_descriptors_says_so(connect: Connect, fake: FakeServer, left: int) -> None:
    """ZeroMQ by itself ends the process, where there are too few for its threads."""
    fake.faults.append(unanswered)
    client = connect(quick(fake.commands, retry_deadline_s=0))
    with pytest.raises(ServerUnreachable):
        client.get("a")  # so that the next one needs a new connection
    some = [os.open(os.devnull, os.O_RDONLY) for _ in range(left)]
    with no_descriptor_left():
        for descriptor in some:
            os.close(descriptor)
        with pytest.raises(LocalFailure, match="made from here: Too many open files"):
            client.get("a")
    assert client.get("a").id == "a"
