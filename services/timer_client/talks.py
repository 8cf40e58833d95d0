"""Carries a `Talk` out: makes its calls one after the other, and gives it each result or error."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, TypeVar

from timer_client.calls import Call, Talk, begin
from timer_client.errors import TimerError

T = TypeVar("T")


def carry_out(talk: Talk[T], call: Callable[[Call[Any]], Any]) -> T:
    """The result of a talk whose calls `call` makes. Raises `TimerError`."""
    go_on = begin(talk)
    while True:
        try:
            asked = go_on()
        except StopIteration as end:
            result: T = end.value
            return result
        try:
            go_on = partial(talk.send, call(asked))
        except TimerError as error:
            go_on = partial(talk.throw, error)


async def carry_out_awaiting(talk: Talk[T], call: Callable[[Call[Any]], Awaitable[Any]]) -> T:
    """`carry_out` for a task."""
    go_on = begin(talk)
    while True:
        try:
            asked = go_on()
        except StopIteration as end:
            result: T = end.value
            return result
        try:
            go_on = partial(talk.send, await call(asked))
        except TimerError as error:
            go_on = partial(talk.throw, error)
