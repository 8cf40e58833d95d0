"""What a probe waits counts from when its request was due, and a pause holds up none of the requests behind it."""

from threading import Thread

import zmq

from bench.probe import waits_ms
from drivers.peers import socket_to

ANSWER_LIMIT_MS = 30_000
HELD = 10
ASKED_A_SECOND = 1_000.0


def answer_once_all_have_come(router: "zmq.Socket[bytes]") -> None:
    """Answers requests only once so many are there, and says in each which one it is."""
    held = [router.recv_multipart()[0] for _ in range(HELD)]
    for number, sender in enumerate(held):
        router.send_multipart((sender, b"%d" % number))


def test_each_request_in_a_pause_counts_from_when_it_was_due() -> None:
    with zmq.Context() as context, context.socket(zmq.ROUTER) as router:
        router.linger, router.rcvtimeo = 0, ANSWER_LIMIT_MS
        port = router.bind_to_random_port("tcp://127.0.0.1")
        answering = Thread(target=answer_once_all_have_come, args=(router,))
        answering.start()
        with socket_to(zmq.DEALER, f"tcp://127.0.0.1:{port}") as socket:
            waits = waits_ms(socket, b"{}", ASKED_A_SECOND, HELD / ASKED_A_SECOND)
        answering.join(ANSWER_LIMIT_MS / 1000)
    assert len(waits) == HELD
    between_ms = 1000 / ASKED_A_SECOND
    assert all(wait >= (HELD - 1 - number) * between_ms for number, wait in enumerate(waits))
