"""A client that was used, and then forked, as servers that load a program once and Celery do."""

import os
import subprocess
import sys

import pytest

from client.fake_server import LOG, FakeServer, answered, page_of, timer
from drivers.server_process import SERVICES

LIMIT_S = 20

BEGIN = """
import asyncio, os, signal, sys, threading, time
import zmq
from timer_client import AsyncTimerClient, Settings, TimerClient
settings = Settings(server={commands!r}, events={events!r}, timeout_s=5, retry_deadline_s=5)

def in_child(work):
    "Prints what comes of it, with the interpreter coming to its end as it does."
    sys.stdout.flush()
    if child := os.fork():
        assert os.waitpid(child, 0)[1] == 0
        return
    signal.alarm(10)
    try:
        print("child", work())
    except Exception as error:
        print("child", type(error).__name__, error)
    sys.exit()
"""

PROGRAMS = {
    "used before": (
        """
client = TimerClient(settings=settings)
client.get("a")
in_child(lambda: (client.get("b").id, client.close()))
print("parent", client.get("c").id)
client.close()
""",
        ["child ('b', None)", "parent c"],
    ),
    "while other threads wait": (
        """
client = TimerClient(settings=settings)
for _ in range(4):
    threading.Thread(target=client.wait, args=("slow",), daemon=True).start()
while client.get("waits: ").id != "waits: 4":
    time.sleep(0.01)
for _ in range(5):
    in_child(lambda: client.get("b").id)
print("parent", client.get("waits: ").id)
""",
        ["child b"] * 5 + ["parent waits: 4"],
    ),
    "in several children, and theirs": (
        """
client = TimerClient(settings=settings)
client.get("a")
def grandchild():
    in_child(lambda: client.get("c").id)
    return client.get("b").id
in_child(grandchild)
""",
        ["child c", "child b"],
    ),
    "closed before": (
        """
client = TimerClient(settings=settings)
client.get("a")
client.close()
in_child(lambda: client.get("b"))
""",
        ["child ClientClosed the client is closed"],
    ),
    "an unfinished stream": (
        """
client = TimerClient(settings=settings)
stream = client.events(after="start")
print("parent", next(stream).seq)
in_child(lambda: next(stream).seq)
print("parent", next(stream).seq)
""",
        ["parent 1", "child 2", "parent 2"],
    ),
    "a context from outside": (
        """
client = TimerClient(settings=settings, context=zmq.Context())
client.get("a")
in_child(lambda: client.get("b"))
print("parent", client.get("c").id)
client.close()
""",
        [
            "child TimerError a client with a given context cannot be used after a fork: make one in the child",
            "parent c",
        ],
    ),
    "asynchronous": (
        """
async def once(client):
    try:
        return (await client.get("b")).id
    finally:
        await client.close()

async def main():
    client, unused = AsyncTimerClient(settings=settings), AsyncTimerClient(settings=settings)
    await client.get("a")
    in_child(lambda: asyncio.run(once(client)))
    in_child(lambda: asyncio.run(once(unused)))
    print("parent", (await client.get("c")).id)
    await client.close()

asyncio.run(main())
""",
        [
            "child TimerError this asynchronous client was used before a fork: make one in the child",
            "child b",
            "parent c",
        ],
    ),
}


OFTEN = ["used before", "while other threads wait", "asynchronous"]
"""How most programs come to have a child."""


@pytest.mark.parametrize(
    "program", [*OFTEN, *(pytest.param(one, marks=pytest.mark.thorough) for one in PROGRAMS if one not in OFTEN)]
)
def test_a_child_has_sockets_of_its_own_or_is_told(fake: FakeServer, program: str) -> None:
    held: list[bytes] = []

    def answer(body: bytes) -> bytes | None:
        if b"timer.wait" in body:
            held.append(body)
            return None
        if b"events.read" in body:
            seq = 2 if b":1}" in body else 1
            event = {"log": LOG, "seq": seq, "kind": "started", "at_ms": 0, "timer": timer()}
            return page_of(body, [event], {LOG: seq})
        return answered(body.replace(b"waits: ", b"waits: %d" % len(held)))

    fake.faults += [answer] * 10_000
    text, printed = PROGRAMS[program]
    ended = subprocess.run(
        [sys.executable, "-c", BEGIN.format(commands=fake.commands, events=fake.events) + text],
        env={**os.environ, "PYTHONPATH": str(SERVICES)},
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    assert (ended.returncode, ended.stdout.splitlines()) == (0, printed), ended.stderr
