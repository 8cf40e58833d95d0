"""Turns the functions of `calls` into methods of the clients, with exact types and docstrings."""

import inspect
from collections.abc import Callable, Coroutine
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

from timer_client.calls import Call, Talk

P = ParamSpec("P")
T = TypeVar("T")


class BlockingCaller(Protocol):
    """Carries a call, or several that follow from one another, and returns the result."""

    def call(self, call: Call[T]) -> T: ...

    def talk(self, talk: Talk[T]) -> T: ...


class AwaitableCaller(Protocol):
    """Carries a call, or several that follow from one another, and returns the result when awaited."""

    async def call(self, call: Call[T]) -> T: ...

    async def talk(self, talk: Talk[T]) -> T: ...


def blocking(make: Callable[P, Call[T]]) -> Callable[Concatenate[BlockingCaller, P], T]:
    """A method that makes a call and returns its result."""

    def method(self: BlockingCaller, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return self.call(make(*args, **kwargs))

    _describe(method, make)
    return method


def awaitable(make: Callable[P, Call[T]]) -> Callable[Concatenate[AwaitableCaller, P], Coroutine[object, None, T]]:
    """A method that makes a call; awaited, it returns the result."""
    # `object` and `None` where an `async def` has `Any`: with `Any`, mypy loses the types in `asyncio.gather`.

    async def method(self: AwaitableCaller, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self.call(make(*args, **kwargs))

    _describe(method, make)
    return method


def blocking_talk(make: Callable[P, Talk[T]]) -> Callable[Concatenate[BlockingCaller, P], T]:
    """A method that makes as many calls as are needed and returns the result of all."""

    def method(self: BlockingCaller, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return self.talk(make(*args, **kwargs))

    _describe(method, make)
    return method


def awaitable_talk(make: Callable[P, Talk[T]]) -> Callable[Concatenate[AwaitableCaller, P], Coroutine[object, None, T]]:
    """A method that makes as many calls as are needed; awaited, it returns the result of all."""

    async def method(self: AwaitableCaller, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self.talk(make(*args, **kwargs))

    _describe(method, make)
    return method


def _describe(method: Any, make: Callable[..., Any]) -> None:
    """Gives a method the name, text and signature that `help` shows."""
    method.__name__ = method.__qualname__ = make.__name__
    method.__doc__ = make.__doc__
    signature = inspect.signature(make)
    *_, result = signature.return_annotation.__args__  # Call[Timer] returns a Timer, as a generator of Calls may
    this = inspect.Parameter("self", inspect.Parameter.POSITIONAL_ONLY)
    method.__signature__ = signature.replace(
        parameters=[this, *signature.parameters.values()], return_annotation=result
    )
