"""Clients that ask, retry and record: a stranger's plain socket, and the two clients of the library.

Each takes requests that belong in one message and returns, in their order, the timers or None where the answer was
an error. What no caller should meet is recorded as a failure.
"""

import asyncio
import json
import time
from collections.abc import Sequence
from itertools import cycle
from typing import Any, NamedTuple, Protocol

import msgspec
import zmq

from campaigns.history import History
from campaigns.invariants_of_effect import WILL_BE_ASKED_AGAIN
from timer_client import AsyncTimerClient, Settings, TimerClient
from timer_client.errors import ServerError
from timer_client.retry import Pause
from timer_protocol.messages import Timer
from timer_protocol.settings import endpoints

REPLY_LIMIT_MS = 300
RETRY_PAUSE_S = 0.02
PATIENCE_S = 40.0
"""How long a call is tried: longer than any outage of a campaign."""


class Request(NamedTuple):
    """What to ask: a method about one timer and its params, among them the id."""

    method: str
    params: dict[str, Any]


class Reply(NamedTuple):
    """The response to a request: a timer, or the name of an error."""

    number: int
    timer: Timer | None
    error: str | None


class Client(Protocol):
    """Whoever asks."""

    def ask(self, requests: Sequence[Request]) -> list[Timer | None]:
        """Carries requests in one message until they are answered."""

    def give_up(self) -> None:
        """Has it try no longer, from another thread."""

    def close(self) -> None:
        """Lets go of the connection."""


def patient(server: str, events: str) -> Settings:
    """Settings of the library that outlast a campaign's outages and lose little time on retries."""
    return Settings(
        server=server,
        events=events,
        timeout_s=1,
        retry_deadline_s=PATIENCE_S,
        retry_min_s=RETRY_PAUSE_S,
        retry_max_s=0.2,
    )


class PlainClient:
    """A DEALER that sends JSON and, after a time-out, the same again from a new socket: to the next server in turn,
    where it is given several, separated by commas.
    """

    def __init__(self, name: str, history: History, server: str) -> None:
        self._name = name
        self._history = history
        self._servers = cycle(endpoints(server))
        self._has_given_up = False
        self._context = zmq.Context()
        self._socket = self._connected()

    def ask(self, requests: Sequence[Request]) -> list[Timer | None]:
        timers: list[Timer | None] = [None] * len(requests)
        calls: dict[int, int | None] = dict.fromkeys(range(len(requests)))
        end_s = time.monotonic() + PATIENCE_S
        while calls and time.monotonic() < end_s and not self._has_given_up:
            numbers = {self._note(requests[place], call): place for place, call in calls.items()}
            calls = {place: calls[place] or number for number, place in numbers.items()}
            self._send(numbers, requests)
            for number, timer, error in self._replies(numbers):
                if error not in WILL_BE_ASKED_AGAIN:
                    del calls[numbers[number]]
                    timers[numbers[number]] = timer
            if calls:
                self._begin_again()
        if calls:
            self._history.failed(self._name, f"{len(calls)} requests without a final answer within {PATIENCE_S} s")
        return timers

    def give_up(self) -> None:
        self._has_given_up = True

    def close(self) -> None:
        self._socket.close(0)
        self._context.term()

    def _note(self, request: Request, call: int | None) -> int:
        return self._history.asked(self._name, request.method, request.params, call)

    def _send(self, numbers: dict[int, int], requests: Sequence[Request]) -> None:
        message = [
            {"jsonrpc": "2.0", "id": number, "method": requests[place].method, "params": requests[place].params}
            for number, place in numbers.items()
        ]
        self._socket.send_json(message[0] if len(message) == 1 else message)

    def _replies(self, numbers: dict[int, int]) -> list[Reply]:
        """The responses to a message, noted; none if it is not answered in time."""
        if not self._socket.poll(REPLY_LIMIT_MS):
            return []
        body = json.loads(self._socket.recv())
        replies = [_read(response) for response in (body if isinstance(body, list) else [body])]
        assert {reply.number for reply in replies} == numbers.keys()
        for reply in replies:
            self._history.answered(*reply)
        return replies

    def _begin_again(self) -> None:
        self._socket.close(0)
        time.sleep(RETRY_PAUSE_S)  # a polite peer waits before it asks again
        self._socket = self._connected()

    def _connected(self) -> zmq.Socket[bytes]:
        socket = self._context.socket(zmq.DEALER)
        socket.linger = 0
        socket.connect(next(self._servers))
        return socket


class LibraryClient:
    """`TimerClient`, one call after the other."""

    def __init__(self, name: str, history: History, settings: Settings) -> None:
        self._name = name
        self._history = history
        self._tries = 1
        self._client = TimerClient(settings=settings, on_pause=self._on_pause)

    def ask(self, requests: Sequence[Request]) -> list[Timer | None]:
        return [self._ask_one(request) for request in requests]

    def give_up(self) -> None:
        self._client.close()

    def close(self) -> None:
        self._client.close()

    def _ask_one(self, request: Request) -> Timer | None:
        number = self._history.asked(self._name, *request)
        self._tries = 1
        timer, error = None, None
        try:
            timer = _called(self._client, request)
        except ServerError as refusal:
            error = refusal.name
        except Exception as failure:  # whatever it is, it has reached the caller, and that is the finding
            self._history.failed(self._name, repr(failure))
            return None
        self._history.answered(number, timer, error, self._tries)
        return timer

    def _on_pause(self, pause: Pause) -> None:
        self._tries += 1
        self._history.retried(self._name, pause.reason)


class AsyncLibraryClient:
    """`AsyncTimerClient`: requests that belong together travel in one message. For one event loop."""

    def __init__(self, name: str, history: History, settings: Settings) -> None:
        self._name = name
        self._history = history
        self._retries = 0
        self._client = AsyncTimerClient(settings=settings, on_pause=self._on_pause)

    async def ask(self, requests: Sequence[Request]) -> list[Timer | None]:
        """Carries requests until they are answered."""
        return list(await asyncio.gather(*map(self._ask_one, requests)))

    async def close(self) -> None:
        """Lets go of the connection."""
        await self._client.close()

    async def _ask_one(self, request: Request) -> Timer | None:
        number = self._history.asked(self._name, *request)
        # Those of other tasks count too: one that may still be on its way is what matters.
        before = self._retries
        timer, error = None, None
        try:
            timer = await _called(self._client, request)
        except ServerError as refusal:
            error = refusal.name
        except Exception as failure:  # whatever it is, it has reached the caller, and that is the finding
            self._history.failed(self._name, repr(failure))
            return None
        self._history.answered(number, timer, error, 1 + self._retries - before)
        return timer

    def _on_pause(self, pause: Pause) -> None:
        self._retries += 1
        self._history.retried(self._name, pause.reason)


def _read(response: dict[str, Any]) -> Reply:
    if "result" in response:
        return Reply(response["id"], msgspec.convert(response["result"], Timer), None)
    return Reply(response["id"], None, response["error"]["data"]["name"])


def _called(client: TimerClient | AsyncTimerClient, request: Request) -> Any:
    """The call of a client that makes a request; of the second kind of client, to be awaited."""
    method = request.method.removeprefix("timer.")
    params = dict(request.params)
    if method == "start":
        return getattr(client, method)(**params)
    return getattr(client, method)(params.pop("id"), **params)
