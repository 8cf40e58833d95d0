"""A client and the end of its process: nothing hangs, nothing is printed, whatever is still open."""

import os
import subprocess
import sys

import pytest

from client.fake_server import FakeServer, answered
from drivers.server_process import SERVICES

LIMIT_S = 15

BEGIN = """
import asyncio, atexit, sys, threading, time
import timer_client
from timer_client import AsyncTimerClient, Settings, TimerClient
settings = Settings(server={commands!r}, events={events!r}, timeout_s=60)
"""

ENDINGS = {
    "left open": """
client = TimerClient(settings=settings)
client.get("a")
""",
    "closed by a destructor": """
class Service:
    def __init__(self):
        self.client = TimerClient(settings=settings)
        self.client.get("a")
    def __del__(self):
        self.client.close()
service = Service()
service.itself = service
sys.modules["kept"] = service
kept = timer_client.kept = Service()
""",
    "a stream left open": """
client = TimerClient(settings=settings)
stream = client.events(after="start")
threading.Thread(target=lambda: next(stream), daemon=True).start()
idle = client.events(after="start")
client.get("a")
def steps():
    with TimerClient(settings=settings) as own:
        yield own.get("b")
held = steps()
next(held)
""",
    "threads that wait": """
client = TimerClient(settings=settings)
threading.Thread(target=client.wait, args=("slow",), daemon=True).start()
for _ in range(3):
    threading.Thread(target=client.wait, args=("slow",), daemon=True).start()
while client.get("waits: ").id != "waits: 4":
    time.sleep(0.01)
class Closes:
    def __del__(self):
        client.close()
closes = Closes()
""",
    "closed at exit": """
client = TimerClient(settings=settings)
client.get("a")
def late():
    client.get("b")
    client.close()
    with TimerClient(settings=settings) as another:
        another.get("c")
    with TimerClient("tcp://localhost:" + settings.server.rpartition(":")[2]) as named:
        named.get("d")
atexit.register(late)
""",
    "asynchronous, left open": """
async def main():
    global client, stream
    client = AsyncTimerClient(settings=settings)
    await client.get("a")
    stream = client.events()
    reading = asyncio.ensure_future(anext(stream))
    while stream.cursor is None:
        await asyncio.sleep(0.01)
    reading.cancel()
asyncio.run(main())
""",
    "asynchronous, closed by a destructor": """
class Service:
    async def use(self):
        self.client = AsyncTimerClient(settings=settings)
        await self.client.get("a")
    def __del__(self):
        asyncio.run(self.client.close())
service = Service()
asyncio.run(service.use())
kept = timer_client.kept = service
""",
    "asynchronous, in a loop that was stopped": """
loop = asyncio.new_event_loop()
client = AsyncTimerClient(settings=settings)
loop.run_until_complete(client.get("a"))
stream = client.events()
step = loop.create_task(anext(stream))
while stream.cursor is None:
    loop.run_until_complete(asyncio.sleep(0.01))
step.cancel()
loop.run_until_complete(asyncio.gather(step, return_exceptions=True))
atexit.register(lambda: asyncio.run(client.close()))
""",
}


OFTEN = ["left open", "threads that wait", "closed at exit", "asynchronous, left open"]
"""How most programs end."""


@pytest.mark.parametrize(
    "ending", [*OFTEN, *(pytest.param(one, marks=pytest.mark.thorough) for one in ENDINGS if one not in OFTEN)]
)
def test_the_interpreter_ends_in_silence(fake: FakeServer, ending: str) -> None:
    held: list[bytes] = []

    def hold_waits(body: bytes) -> bytes | None:
        if b"timer.wait" in body:
            held.append(body)
            return None
        return answered(body.replace(b"waits: ", b"waits: %d" % len(held)))

    if ending == "threads that wait":
        fake.faults += [hold_waits] * 10_000
    program = BEGIN.format(commands=fake.commands, events=fake.events) + ENDINGS[ending]
    environment = {**os.environ, "PYTHONPATH": str(SERVICES)}
    ended = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=LIMIT_S, check=False
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
