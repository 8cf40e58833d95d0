"""The sockets that the gateway answers at."""

import socket

from timer_gateway.listening import listen


def test_an_answer_in_two_pieces_does_not_wait_for_the_peer_between_them() -> None:
    (listening,) = listen("127.0.0.1", 0)
    with listening, socket.create_connection(listening.getsockname()) as _:
        accepted, _ = listening.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
