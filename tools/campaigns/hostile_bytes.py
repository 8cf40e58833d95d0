"""Attacks below the messages: bytes that are no ZMTP, handshakes that go wrong, frames no ZeroMQ socket would send."""

import struct
from contextlib import suppress

from campaigns.target import Attack, Target
from drivers.raw_zmtp import GREETING, announced, command, frame, message, ready
from timer_server.limits import SUBSCRIBED_BYTES, SUBSCRIPTION_BYTES

GIB = 1 << 30
INFO = b'{"jsonrpc":"2.0","method":"server.info","id":1}'

_COMMAND, _LONG = 4, 2


def random_bytes(target: Target) -> None:
    for endpoint in (target.commands, target.events):
        for _ in range(20):
            target.stranger(endpoint).send(target.dice.randbytes(target.dice.randint(1, 2000)))


def http(target: Target) -> None:
    for endpoint in (target.commands, target.events):
        target.stranger(endpoint).send(b"GET / HTTP/1.1\r\nHost: timers\r\n\r\n")


def greetings_cut_off(target: Target) -> None:
    for endpoint in (target.commands, target.events):
        for size in range(0, len(GREETING), 3):
            peer = target.stranger(endpoint)
            peer.send(GREETING[:size])
            if size % 2:
                peer.close()


def handshakes_half_open(target: Target) -> None:
    for endpoint in (target.commands, target.events):
        for _ in range(50):
            target.stranger(endpoint).send(GREETING)
            target.stranger(endpoint).send(GREETING + ready(b"DEALER")[:10])


def old_greetings(target: Target) -> None:
    """ZMTP 1 and 2, which libzmq still speaks, and versions that do not exist."""
    for greeting in (b"\x01\x00", b"\xff" + bytes(8) + b"\x7f\x01\x05", GREETING[:10] + b"\x63" + GREETING[11:]):
        target.stranger(target.commands).send(greeting + message(b"", INFO))


def other_mechanisms(target: Target) -> None:
    for mechanism in (b"PLAIN", b"CURVE", b"\xff" * 20):
        peer = target.stranger(target.commands)
        peer.send(GREETING[:12] + mechanism.ljust(20, b"\0") + GREETING[32:] + ready(b"DEALER"))


def handshakes_that_are_none(target: Target) -> None:
    beginnings = [
        command(b"READY", b"\xff" * 50),
        command(b"READY", b"\x0bSocket-Type" + struct.pack(">I", 2**31) + b"DEALER"),
        command(b"ERROR", b"\x05oh no"),
        command(b"", b""),
        frame(b"no command"),
        frame(b""),
        ready(b"DEALER") * 100,
        struct.pack(">BQ", _COMMAND | _LONG, GIB),
    ]
    for beginning in beginnings:
        target.stranger(target.commands).send(GREETING + beginning)


def wrong_socket_types(target: Target) -> None:
    for socket_type in (b"PUB", b"SUB", b"XPUB", b"XSUB", b"PUSH", b"PULL", b"PAIR", b"REP", b"STREAM", b"", b"\xff"):
        assert target.peer(socket_type).is_cut_off(), f"{socket_type!r} was let in"
    for socket_type in (b"REQ", b"DEALER", b"PUB", b"ROUTER"):
        with suppress(ConnectionError):  # refused before the handshake is through
            assert target.subscriber(socket_type).is_cut_off(), f"{socket_type!r} was let in to the events"


def a_gibibyte_announced(target: Target) -> None:
    for size in (GIB, 2**63 - 1, 2**64 - 1):
        for peer in (target.peer(), target.subscriber()):
            peer.send(announced(size))
            assert peer.is_cut_off(), f"{size} bytes were taken"


def messages_never_finished(target: Target) -> None:
    for _ in range(20):
        target.peer().send(frame(b"x" * 100_000, more=True))
        target.peer().send(announced(1_000_000) + b"x" * 100_000)


def strange_commands(target: Target) -> None:
    for peer in (target.peer(), target.subscriber()):
        peer.send(command(b"PING", b"\0\0" + b"x" * 200) + command(b"PONG", b"x" * 200) + command(b"HELLO", b""))
    target.peer().send(command(b"PING", b""))
    target.peer().send(struct.pack(">BB", _COMMAND, 0))
    target.peer().send(b"\xf8\x01x")
    target.peer().send(command(b"SUBSCRIBE", b"a"))


def one_byte_at_a_time(target: Target) -> None:
    peer = target.peer()
    for byte in message(b"", INFO):
        peer.send(bytes([byte]))
    assert peer.receive(4) != b"", "no reply"


def connections_come_and_go(target: Target) -> None:
    for _ in range(500):
        with_hands = target.peer()
        with_hands.send(message(b"", INFO))
        with_hands.close()
        target.stranger(target.events).close()


def the_same_routing_id(target: Target) -> None:
    peers = [target.peer(Identity=b"twin") for _ in range(20)]
    peers[-1].send(message(b"", INFO))
    peers[-1].receive(4)


def odd_routing_ids(target: Target) -> None:
    for identity in (b"\n", b"\0", b"\0\1\2", b"\xff" * 255, b"x" * 256, b"x" * 5000, b'{"a":1}', b"\x1b[31m"):
        peer = target.peer(Identity=identity)
        peer.send(message(b"", INFO))
        assert peer.receive(2) == b"\x01\x00", f"no reply for {identity[:10]!r}"


def a_giant_subscription(target: Target) -> None:
    peer = target.subscriber()
    peer.send(frame(b"\x01".ljust(SUBSCRIPTION_BYTES + 1, b"a")))
    assert peer.is_cut_off(), "a subscription beyond the limit was taken"


def many_subscriptions(target: Target) -> None:
    peer = target.subscriber()
    peer.send(b"".join(frame(b"\x01many/%d " % number) for number in range(5_000)))


def a_flood_of_subscriptions(target: Target) -> None:
    size = SUBSCRIPTION_BYTES - 1
    peer = target.subscriber()
    topics = (target.dice.randbytes(size) for _ in range(SUBSCRIBED_BYTES // size + 100))
    with suppress(ConnectionError):  # cut off while it sends
        peer.send(b"".join(frame(b"\x01" + topic) for topic in topics))
    assert peer.is_cut_off(), "topics beyond the limit were taken"


def forged_unsubscriptions(target: Target) -> None:
    target.subscriber().send((frame(b"\x00honest/") + frame(b"\x00")) * 100)


def subscribers_that_talk(target: Target) -> None:
    target.subscriber().send(message(b"hello") + message(b"") + message(b"\x01a", b"\x01b") + message(*[b""] * 1000))


ATTACKS: list[Attack] = [
    random_bytes,
    http,
    greetings_cut_off,
    handshakes_half_open,
    old_greetings,
    other_mechanisms,
    handshakes_that_are_none,
    wrong_socket_types,
    a_gibibyte_announced,
    messages_never_finished,
    strange_commands,
    one_byte_at_a_time,
    connections_come_and_go,
    the_same_routing_id,
    odd_routing_ids,
    a_giant_subscription,
    many_subscriptions,
    a_flood_of_subscriptions,
    forged_unsubscriptions,
    subscribers_that_talk,
]
