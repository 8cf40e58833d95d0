"""The commands socket, of several replies at once."""

import zmq

from drivers.peers import socket_to
from timer_server.wire.commands import Commands
from timer_server.wire.endpoints import new_context


def test_of_several_replies_those_to_peers_that_are_gone_are_counted_and_the_others_sent() -> None:
    context = new_context()
    try:
        commands = Commands(context, "tcp://127.0.0.1:0", 10_000)
        with socket_to(zmq.DEALER, commands.listener.endpoint) as dealer:
            dealer.send(b"hello")
            assert commands.socket.poll(5_000)
            message = commands.receive()
            assert message is not None
            peer = message.frames[0]

            dropped = commands.reply_all([[b"gone", b"one"], [peer, b"two"], [b"gone", b"three"], [peer, b"", b"four"]])

            assert dropped == 2
            assert [dealer.recv_multipart() for _ in range(2)] == [[b"two"], [b"", b"four"]]
        commands.listener.close()
    finally:
        context.destroy(linger=0)
