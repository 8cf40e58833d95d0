"""What a network does to connections, by name, done by proxies."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from random import Random

from campaigns.proxy import Proxy

SILENCE_S = 3.5
"""Longer than a client waits for a sign of life before it gives a connection up."""

REPLY_LIMIT_S = 20.0
METHODS = (b'"timer.start"', b'"timer.extend"', b'"timer.restart"', b'"timer.pause"', b'"timer.cancel"')

Harm = Callable[[Sequence[Proxy], Random], AbstractContextManager[object]]


@dataclass(frozen=True)
class ProxyFault:
    """A way to harm the connections of proxies for the length of a block."""

    kind: str
    harm: Harm
    bearable: bool = False
    """Whether peers should recover even while it lasts, by connections of their own making."""


@contextmanager
def _cut(proxies: Sequence[Proxy], dice: Random) -> Iterator[None]:
    for proxy in proxies:
        proxy.cut()
    yield


@contextmanager
def _cut_in_a_message(proxies: Sequence[Proxy], dice: Random) -> Iterator[None]:
    for proxy in proxies:
        proxy.cut_after(dice.randint(1, 400))
    yield


@contextmanager
def _lose_reply(proxies: Sequence[Proxy], dice: Random) -> Iterator[None]:
    commands = proxies[0]
    commands.lose_reply(dice.choice(METHODS), b'"result"')
    assert commands.reply_lost.wait(REPLY_LIMIT_S), "no such request came by"
    yield


@contextmanager
def _delay(proxies: Sequence[Proxy], dice: Random) -> Iterator[None]:
    lengths = Random(dice.random())  # noqa: S311 - the threads of proxies leave the campaign's own dice alone
    for proxy in proxies:
        proxy.delay_s = lambda: lengths.uniform(0, 0.1)
    yield
    time.sleep(0.5)  # how long it lasts, at least
    for proxy in proxies:
        proxy.delay_s = float


@contextmanager
def _leave_half_open(proxies: Sequence[Proxy], dice: Random) -> Iterator[None]:
    for proxy in proxies:
        proxy.hold()
    yield
    for proxy in proxies:
        proxy.resume()  # what was sent before comes now, late


@contextmanager
def _silence(proxies: Sequence[Proxy], dice: Random) -> Iterator[None]:
    for proxy in proxies:
        proxy.silence()
    time.sleep(SILENCE_S + dice.random() / 2)  # how long it lasts
    yield
    for proxy in proxies:
        proxy.resume()


CUT = ProxyFault("reset", _cut)
CUT_IN_A_MESSAGE = ProxyFault("reset in the middle of a message", _cut_in_a_message)
LOST_REPLY = ProxyFault("reset between request and reply", _lose_reply)
DELAY = ProxyFault("up to 100 ms later", _delay, bearable=True)
HALF_OPEN = ProxyFault("half open, then late", _leave_half_open, bearable=True)
SILENCE = ProxyFault("all packets lost for longer than heartbeats", _silence)
