"""Any language: a client that has no library at all. It speaks ZeroMQ's wire protocol over a plain TCP socket.

    python plain_sockets.py [SECONDS]

starts a timer, waits for its end, and prints

    019c1f0e-5a3d-7c1e-8d0f-2b7c8a4e9f10 runs for 2.5 s
    019c1f0e-5a3d-7c1e-8d0f-2b7c8a4e9f10 has fired

Nothing but the standard library is imported: what is here can be written wherever there are TCP and JSON. Use a ZeroMQ
library where there is one; it also connects again, and encrypts. ZMTP is at https://rfc.zeromq.org/spec/37/.
"""

import json
import os
import random
import socket
import sys
import time
import uuid
from io import BufferedRWPair
from itertools import chain, repeat
from typing import Any

GREETING = b"\xff" + bytes(8) + b"\x7f" + b"\x03\x01" + b"NULL".ljust(20, b"\0") + bytes(32)
"""The signature, version 3.1, the mechanism "NULL" (neither keys nor encryption), no server, and 31 empty bytes."""

READY = b"\x05READY" + b"\x0bSocket-Type" + b"\0\0\0\x06DEALER"
LONG, COMMAND = 2, 4
"""The flags of a frame: its size has eight bytes, not one; it is no message but a command."""

SILENCE_S = 15
"""The server sends a PING every 5 s: where nothing at all comes for so long, nobody is there."""

TRIED_S, PAUSES_S = 60, (0.1, 0.2, 0.5, 1, 2, 5)
"""How long a call is tried in all, and the pauses between two attempts; the last one for all that follow."""


def exchange(host: str, port: int, request: bytes) -> bytes:
    """The reply to a request, on a connection of its own. Raises `OSError` where it breaks."""
    with socket.create_connection((host, port), SILENCE_S) as tcp, tcp.makefile("rwb") as stream:
        stream.write(GREETING)
        stream.flush()
        theirs = read(stream, len(GREETING))
        if theirs[0] != GREETING[0] or theirs[10] < 3 or theirs[12:32] != GREETING[12:32]:
            raise ConnectionError("whoever is there speaks no ZMTP 3, or wants keys")
        send(stream, COMMAND, READY)
        while True:
            (flags,) = read(stream, 1)
            body = read(stream, int.from_bytes(read(stream, 8 if flags & LONG else 1), "big"))
            if not flags & COMMAND:
                return body  # to a request in one frame the reply has one
            if body.startswith(READY[:6]):  # before it no message may be sent
                send(stream, 0, request)
            elif body.startswith(b"\x04PING"):  # then a time of two bytes, and what is to be repeated
                send(stream, COMMAND, b"\x04PONG" + body[7:])


def send(stream: BufferedRWPair, flags: int, body: bytes) -> None:
    """Sends a frame."""
    is_long = len(body) > 255
    stream.write(bytes([flags | (LONG if is_long else 0)]) + len(body).to_bytes(8 if is_long else 1, "big") + body)
    stream.flush()


def read(stream: BufferedRWPair, length: int) -> bytes:
    """So many bytes."""
    data = stream.read(length)
    if len(data) < length:
        raise ConnectionError("the server has closed the connection")
    return data


def call(method: str, params: dict[str, Any]) -> dict[str, Any]:
    """The result of a method. It is asked for again on a new connection where one breaks, so `params` name an `id`."""
    host, _, port = os.environ.get("TIMER_SERVER", "tcp://127.0.0.1:8888").removeprefix("tcp://").rpartition(":")
    request = json.dumps({"jsonrpc": "2.0", "method": method, "params": params, "id": 1}).encode()
    ends_s = time.monotonic() + TRIED_S
    for pause_s in chain(PAUSES_S, repeat(PAUSES_S[-1])):
        try:
            answer = json.loads(exchange(host.strip("[]"), int(port), request))
        except OSError as error:
            reason, may_help = str(error), True
        else:
            if "result" in answer:
                result: dict[str, Any] = answer["result"]
                return result
            reason, may_help = answer["error"]["data"]["reason"], answer["error"]["data"]["retryable"]
        if not may_help or time.monotonic() > ends_s:
            break
        time.sleep(pause_s * random.uniform(1, 1.5))  # noqa: S311 - many clients shall not come back at once
    sys.exit(f"{method}: {reason}")


def main(seconds: float = 2.5) -> None:
    timer = call("timer.start", {"id": str(uuid.uuid4()), "seconds": seconds})
    print(f"{timer['id']} runs for {seconds:g} s", flush=True)
    while timer["state"] in {"running", "paused"}:
        timer = call("timer.wait", {"id": timer["id"], "wait_ms": 30_000})
    print(f"{timer['id']} has {'fired' if timer['state'] == 'fired' else 'been cancelled'}")


if __name__ == "__main__":
    main(*map(float, sys.argv[1:2]))
