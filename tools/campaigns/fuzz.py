"""Fuzzing of frames, JSON and the dialogue, from the bytes of a message to its answer, without a socket.

`PYTHONPATH=tools .venv/bin/python -m campaigns.fuzz --seconds 600` lets coverage guide it where atheris can be imported
(`pip install atheris`, on Linux), and mutates known messages at random elsewhere.
"""

import argparse
import itertools
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from random import Random

SEPARATOR = b"\xfe"
"""Stands between two frames: it is in no UTF-8, so JSON stays whole."""

PEERS = (b"one", b"other")

SEEDS = [
    b'{"jsonrpc":"2.0","id":1,"method":"timer.start","params":{"id":"a","hours":1,"payload":{"a":[1,null,"\\u00e9"]}}}',
    b'{"jsonrpc":"2.0","id":"x","method":"timer.start","params":["b",0,0,2.5,"label"]}',
    b'{"jsonrpc":"2.0","id":null,"method":"timer.get","params":{"id":"a"}}',
    b'{"jsonrpc":"2.0","id":2,"method":"timer.list","params":{"prefix":"","state":"fired","after":"a","limit":9}}',
    b'{"jsonrpc":"2.0","id":3,"method":"timer.extend","params":{"id":"a","seconds":-1e3,"key":"k"}}',
    b'{"jsonrpc":"2.0","id":4,"method":"timer.restart","params":{"id":"a","key":"k"}}',
    b'[{"jsonrpc":"2.0","id":5,"method":"timer.wait","params":{"id":"a","wait_ms":1000}},{"foo":"boo"},1]',
    b'{"jsonrpc":"2.0","id":6,"method":"events.read","params":{"after":{},"prefix":"a","limit":1,"wait_ms":5}}',
    b'[{"jsonrpc":"2.0","method":"timer.pause","params":{"id":"a"}},{"jsonrpc":"2.0","method":"timer.cancel"}]',
    b'{"jsonrpc":"2.0","id":7,"method":"server.info"}',
    SEPARATOR.join([b"\0\0\0\1", b"", b"0", b"25", b"0.5"]),
    SEPARATOR.join([b"", b" 5 "]),
    b"1.5",
]

TOKENS = [
    *(b'{"', b'"}', b"[", b"]", b",", b":", b'"', b"\\u", b"\\ud800", b"null", b"true", b"NaN", b"1e999", b"-", b"."),
    *(
        b"9" * 400,
        b"[" * 2000,
        b'{"a":' * 300,
        b"\0",
        b"\n",
        b"\xff",
        b"\xef\xbb\xbf",
        SEPARATOR,
        b" ",
        b"id",
        b"x" * 300,
    ),
]


class Subject:
    """Everything between a message and its answer. One for many messages: what they leave behind is a part of it."""

    def __init__(self, shards: int = 1) -> None:
        from drivers.sharded_desk import ShardedDesk  # noqa: PLC0415 - after atheris has taken hold of imports

        limits = {"max_timers": 50, "max_batch": 20, "max_message_bytes": 100_000, "max_payload_bytes": 1000}
        self._desk = ShardedDesk(shards, **limits)
        self._turns = 0

    def take(self, data: bytes) -> None:
        """One message. Raises AssertionError where it is not answered as it should be, or what the server raises."""
        from timer_protocol.errors import ErrorCode, Refusal  # noqa: PLC0415
        from timer_protocol.frames import Message, is_json, split_envelope  # noqa: PLC0415
        from timer_protocol.sender import EVERYBODY  # noqa: PLC0415

        frames = [PEERS[len(data) % 2], *data.split(SEPARATOR)]
        answer = self._desk.dispatcher.handle(Message(list(frames), EVERYBODY), self._desk.now_ns)
        _, body = split_envelope(frames)
        if answer is None:
            assert is_silence_allowed(body[0]), "a message is not answered"
        elif not getattr(answer, "missing", 0):
            check_reply(frames, answer.frames(), is_json(body) and len(frames) <= 17)
        self._desk.dispatcher.refuse(list(frames), Refusal(ErrorCode.SHUTTING_DOWN, "later"))
        self._end_turn()

    def _end_turn(self) -> None:
        """Lets a second pass, so that what waits is answered as well."""
        self._turns += 1
        for answer in self._desk.wait(1000):
            json.loads(answer.frames()[-1])
        assert len(self._desk.parked) < 20_000


def is_silence_allowed(body: bytes) -> bool:
    """Whether a JSON body is nothing but notifications."""
    try:
        parsed = json.loads(body)
    except (ValueError, RecursionError):
        return False
    requests = parsed if isinstance(parsed, list) else [parsed]
    return bool(requests) and all(isinstance(request, dict) and "id" not in request for request in requests)


def check_reply(frames: list[bytes], reply: list[bytes], is_rpc: bool) -> None:
    """Raises AssertionError unless a reply is one that the protocol knows."""
    assert reply[0] == frames[0], "the reply is for somebody else"
    if is_rpc and not reply[-1].startswith(b"error: "):
        responses = json.loads(reply[-1])
        for response in responses if isinstance(responses, list) else [responses]:
            assert response["jsonrpc"] == "2.0"
            assert ("result" in response) != ("error" in response)
            assert response.get("error", {}).get("code") != -32603, response
    else:
        assert reply == frames or reply[-1].startswith(b"error: "), reply


def mutations(dice: Random) -> Iterator[bytes]:
    """Messages that were good once, cut, glued and sprinkled with what parsers stumble over."""
    while True:
        data = bytearray(dice.choice(SEEDS))
        for _ in range(dice.randint(0, 6)):
            at, to = sorted(dice.randint(0, len(data)) for _ in range(2))
            other = dice.choice(SEEDS)
            data[at:to] = dice.choice(
                [b"", dice.choice(TOKENS), bytes([dice.randint(0, 255)]), bytes(data[at:to]) * 2, other[at : at + 40]]
            )
        yield bytes(data)


def fuzz(messages: Iterable[bytes], shards: int = 1) -> tuple[int, list[str]]:
    """Takes message after message, up to the tenth finding; how many there were, and what went wrong with which."""
    subject = Subject(shards)
    findings: list[str] = []
    executions = 0
    for data in messages:
        executions += 1
        try:
            subject.take(data)
        except Exception as error:
            findings.append(f"{type(error).__name__} {error} for {data[:300]!r}")
            if len(findings) == 10:
                break
            subject = Subject(shards)
    return executions, findings


def at_random(seconds: float, dice: Random) -> tuple[int, list[str]]:
    """Fuzzes with mutations for some time."""
    end_s = time.monotonic() + seconds
    return fuzz(itertools.takewhile(lambda _: time.monotonic() < end_s, mutations(dice)))


def by_coverage(seconds: int, corpus: Path) -> None:
    """Lets atheris fuzz. It ends the process by itself: after its time, or at the first finding."""
    import atheris  # noqa: PLC0415 - no dependency of the project

    with atheris.instrument_imports(include=["timer_protocol", "timer_server"]):
        subject = Subject()
    for number, seed in enumerate(SEEDS):
        (corpus / f"seed-{number}").write_bytes(seed)
    take: Callable[[bytes], None] = subject.take
    atheris.Setup(
        [sys.argv[0], f"-max_total_time={seconds}", "-max_len=4096", "-print_final_stats=1", str(corpus)], take
    )
    atheris.Fuzz()


def main() -> int:
    parser = argparse.ArgumentParser(description="Fuzzes the way from a message to its answer.")
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--corpus", type=Path, help="a folder for what atheris finds interesting")
    arguments = parser.parse_args()
    try:
        import atheris  # noqa: F401, PLC0415
    except ImportError:
        print("atheris is not there (pip install atheris): messages are mutated at random")
        dice = Random(arguments.seed)  # noqa: S311 - mutations, not secrets
        executions, findings = at_random(arguments.seconds, dice)
        print(f"{executions:,} messages, {len(findings)} findings", *findings, sep="\n")
        return 1 if findings else 0
    corpus = arguments.corpus or Path(tempfile.mkdtemp())
    corpus.mkdir(exist_ok=True)
    by_coverage(arguments.seconds, corpus)
    return 0


if __name__ == "__main__":
    sys.exit(main())
