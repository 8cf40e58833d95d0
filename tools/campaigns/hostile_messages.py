"""Attacks in messages: JSON that is none or too much of it, ids that look alike, frames that make no sense."""

import json
from typing import Any

import zmq

from campaigns.target import Attack, Target
from drivers.peers import request, socket_to

PARSE_ERROR, INVALID_REQUEST, METHOD_NOT_FOUND, INVALID_PARAMS = -32700, -32600, -32601, -32602
LIMIT_REACHED, TIMER_NOT_FOUND = -32004, -32001
DEEP = 100_000

Expected = int | str
"""The number of the error, or the beginning of the text."""


def start(payload: bytes = b"1", seconds: bytes = b"5", request_id: bytes = b"1", label: bytes = b'""') -> bytes:
    """A start of a timer with parts that need not be JSON."""
    return (
        b'{"jsonrpc":"2.0","id":%s,"method":"timer.start","params":{"seconds":%s,"label":%s,"payload":%s}}'
        % (request_id, seconds, label, payload)  # the order of the names
    )


def get(params: bytes) -> bytes:
    """A request to get a timer, with any params."""
    return b'{"jsonrpc":"2.0","id":1,"method":"timer.get","params":%s}' % params


JSON: dict[str, tuple[bytes, Expected]] = {
    "nested 100,000 deep": (b"[" * DEEP + b"]" * DEEP, PARSE_ERROR),
    "nested 100,000 deep and cut off": (b"[" * DEEP, PARSE_ERROR),
    "objects nested 100,000 deep": (b'{"a":' * DEEP + b"1" + b"}" * DEEP, PARSE_ERROR),
    "a payload nested 10,000 deep": (start(payload=b"[" * 10_000 + b"]" * 10_000), PARSE_ERROR),
    "a payload nested 101 deep": (start(payload=b"[" * 101 + b"]" * 101), INVALID_PARAMS),
    "a number of 10,000 digits": (start(seconds=b"9" * 10_000), INVALID_PARAMS),
    "a fraction of 10,000 digits that is not too much": (
        start(seconds=b"1." + b"9" * 10_000 + b"e400"),
        INVALID_PARAMS,
    ),
    "a number of 10,000 digits in the payload": (start(payload=b"9" * 10_000), INVALID_PARAMS),
    "an id of 10,000 digits": (start(request_id=b"9" * 10_000), INVALID_REQUEST),
    "an id of 10,000 characters": (start(request_id=b'"%s"' % (b"x" * 10_000)), INVALID_REQUEST),
    "NaN": (start(seconds=b"NaN"), PARSE_ERROR),
    "Infinity": (start(payload=b"-Infinity"), PARSE_ERROR),
    "1e999": (start(seconds=b"1e999"), INVALID_PARAMS),
    "1e999 in the payload": (start(payload=b"1e999"), INVALID_PARAMS),
    "a negative time": (start(seconds=b"-1"), INVALID_PARAMS),
    "invalid UTF-8": (start(label=b'"\xff"'), PARSE_ERROR),
    "invalid UTF-8 in the payload": (start(payload=b'"\xc0\xaf"'), PARSE_ERROR),
    "a lone surrogate": (start(label=b'"\\ud800"'), PARSE_ERROR),
    "a lone surrogate in the payload": (start(payload=b'"\\udc00"'), PARSE_ERROR),
    "a surrogate in UTF-8": (start(payload=b'"\xed\xa0\x80"'), PARSE_ERROR),
    "a byte order mark": (b"\xef\xbb\xbf" + start(), "error: "),
    "UTF-16": (start().decode().encode("utf-16"), "error: "),
    "an id with a newline": (get(b'{"id":"a\\n"}'), TIMER_NOT_FOUND),
    "a new id with a newline": (
        json.dumps(request("timer.start", 1, id="a\n", seconds=5)).encode(),
        INVALID_PARAMS,
    ),
    "a new id with a NUL": (json.dumps(request("timer.start", 1, id="a\0", seconds=5)).encode(), INVALID_PARAMS),
    "an id that is empty": (get(b'{"id":""}'), INVALID_PARAMS),
    "a batch of 100,000": (b"[" + b",".join([b"1"] * 100_000) + b"]", LIMIT_REACHED),
    "a batch of nothing": (b"[]", INVALID_REQUEST),
    "more than a message may have": (b"{".ljust(1_100_000), LIMIT_REACHED),
    "a million blanks": (b"{".rjust(1_000_000), PARSE_ERROR),
    "a method of a million characters": (
        b'{"jsonrpc":"2.0","id":1,"method":"%s"}' % (b"m" * 1_000_000),
        METHOD_NOT_FOUND,
    ),
    "a parameter's name of a million characters": (get(b'{"%s":1}' % (b"p" * 1_000_000)), INVALID_PARAMS),
    "a hundred thousand parameters": (
        get(b"{" + b",".join(b'"%d":1' % number for number in range(90_000)) + b"}"),
        INVALID_PARAMS,
    ),
    "a hundred thousand values": (get(b"[" + b",".join([b"1"] * 100_000) + b"]"), INVALID_PARAMS),
}

FRAMES: dict[str, list[bytes]] = {
    "a thousand empty frames": [b""] * 1000,
    "a thousand frames": [b"0"] * 1000,
    "nothing": [b""],
    "an envelope of a megabyte": [b"x" * 1_000_000, b"", b"0"],
    "a number of 10,000 digits": [b"9" * 10_000],
    "NaN": [b"NaN", b"0", b"0"],
    "other digits": ["٣".encode()],
    "a text with a newline": [b"5\n6"],
    "control characters": [b"\x1b[31m\r\n\0"],
    "JSON in two frames": [b"{", b"}"],
    "two texts": [b"0", b"0"],
    "no time at all": [b"0", b"0", b"0"],
    "a megabyte of text": [b"5" * 1_100_000],
}


def _check(name: str, reply: bytes, expected: Expected) -> None:
    if isinstance(expected, str):
        assert reply.startswith(expected.encode()), f"{name} was answered with {reply[:200]!r}"
        return
    response: Any = json.loads(reply)
    assert response.get("error", {}).get("code") == expected, f"{name} was answered with {reply[:200]!r}"
    assert 10 < len(response["error"]["data"]["reason"]) < 2_000_000


def broken_json(target: Target) -> None:
    with socket_to(zmq.REQ, target.commands) as socket:
        for name, (body, expected) in JSON.items():
            socket.send(body)
            _check(name, socket.recv(), expected)


def frames_without_sense(target: Target) -> None:
    with socket_to(zmq.DEALER, target.commands) as socket:
        for name, frames in FRAMES.items():
            socket.send_multipart(frames)
            _check(name, socket.recv_multipart()[-1], "error: ")


def names_given_twice(target: Target) -> None:
    with socket_to(zmq.REQ, target.commands) as socket:
        socket.send(b'{"jsonrpc":"2.0","id":1,"id":2,"method":"timer.stop","method":"server.info"}')
        response = json.loads(socket.recv())
        assert (response["id"], "result" in response) == (2, True), response
        socket.send(get(b'{"id":"first","id":"second"}'))
        assert json.loads(socket.recv())["error"]["data"]["id"] == "second"


def ids_that_differ_only_in_case(target: Target) -> None:
    with socket_to(zmq.REQ, target.commands) as socket:
        for timer_id, hours in (("case/Tea", 1), ("case/tea", 2), ("case/Tea", 1)):
            socket.send_json(request("timer.start", 1, id=timer_id, hours=hours))
            timer = json.loads(socket.recv())["result"]
            assert (timer["id"], timer["hours"], timer["version"]) == (timer_id, hours, 1), timer


def requests_without_a_delimiter(target: Target) -> None:
    """A REQ puts an empty frame first; one that does not is answered without it."""
    with socket_to(zmq.DEALER, target.commands) as socket:
        socket.send_json(request("server.info", 1))
        (reply,) = socket.recv_multipart()
        assert json.loads(reply)["id"] == 1


def texts_that_are_never_finished(target: Target) -> None:
    for number in range(200):
        with socket_to(zmq.DEALER, target.commands, routing_id=b"half/%d" % number) as socket:
            socket.send(b"5")
            assert socket.recv() == b"5"


def the_largest_batch_of_everything(target: Target) -> None:
    """What costs the server most of all that it takes in one message."""
    batches = [
        [request("timer.list", number, limit=1000) for number in range(1000)],
        [request("events.read", number, after={}, limit=1000) for number in range(1000)],
        [request("rpc.discover", number) for number in range(1000)],
        [request("timer.wait", number, id="honest/1", wait_ms=3_600_000) for number in range(1000)],
        [request("events.read", number, after={"no-such-log": 2**62}, wait_ms=3_600_000) for number in range(1000)],
    ]
    socket = target.held.enter_context(socket_to(zmq.DEALER, target.commands))
    for batch in batches:
        socket.send_json(batch)


def random_messages(target: Target) -> None:
    dice = target.dice
    with socket_to(zmq.DEALER, target.commands) as socket:
        for _ in range(200):
            socket.send_multipart([dice.randbytes(dice.randint(0, 50)) for _ in range(dice.randint(1, 20))])
        socket.send_multipart([b"the last", b"", json.dumps(request("server.info", 1)).encode()])
        while socket.recv_multipart()[0] != b"the last":
            pass


ATTACKS: list[Attack] = [
    broken_json,
    frames_without_sense,
    names_given_twice,
    ids_that_differ_only_in_case,
    requests_without_a_delimiter,
    texts_that_are_never_finished,
    the_largest_batch_of_everything,
    random_messages,
]
