"""The errors of the library: they survive copies and other processes."""

import copy
import multiprocessing
import pickle
from collections.abc import Iterator

import pytest

from timer_client import Cursor, TimerError, TimerNotFound
from timer_client.errors import (
    AccessDenied,
    BadReply,
    ClientClosed,
    ConfigError,
    EventsTruncated,
    InvalidArgument,
    LeaseLost,
    LocalFailure,
    ServerError,
    ServerUnreachable,
    server_error,
)
from timer_client.retry import Postponed, Unanswered
from timer_protocol.errors import ErrorCode, Refusal
from timer_protocol.key_pairs import KeyFileError
from timer_protocol.settings import SettingError

OF_THE_SERVER = [server_error(Refusal(code, "because", id="a").to_error()) for code in ErrorCode]

ERRORS: list[Exception] = [
    TimerError("it failed"),
    ConfigError("it is wrong"),
    InvalidArgument("payload is a set"),
    ClientClosed(),
    ServerUnreachable("tcp://x:1", 1.0, 2, "why"),
    LocalFailure("tcp://x:1", "no memory"),
    AccessDenied("no"),
    BadReply("what?"),
    LeaseLost("q", "a", "r"),
    EventsTruncated(Cursor({"a": 1}), Cursor({"a": 2})),
    *OF_THE_SERVER,
    Unanswered("why", 1.5),
    Postponed("why"),
    Refusal(ErrorCode.WRONG_STATE, "it has fired", state="fired"),
    SettingError("it is wrong"),
    KeyFileError("it is wrong"),
]


def _subclasses(kind: type) -> Iterator[type]:
    for subclass in kind.__subclasses__():
        yield subclass
        yield from _subclasses(subclass)


def test_every_error_is_among_those_tried() -> None:
    assert {kind for kind in _subclasses(TimerError) if kind.__module__.startswith("timer_")} <= {
        type(error) for error in ERRORS
    }


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_a_copy_is_the_same_error(error: Exception) -> None:
    error.add_note("seen by a test")
    copies = [_pickled(error, protocol) for protocol in range(pickle.HIGHEST_PROTOCOL + 1)]
    for copied in (*copies, copy.copy(error), copy.deepcopy(error)):
        assert type(copied) is type(error)
        assert str(copied) == str(error)
        assert vars(copied) == vars(error)


def _pickled(error: Exception, protocol: int) -> Exception:
    copied = pickle.loads(pickle.dumps(error, protocol))  # noqa: S301 - of bytes made here
    assert isinstance(copied, Exception)
    return copied


def test_an_error_of_a_subclass_elsewhere_is_copied_too() -> None:
    assert copy.copy(_Ours("shop", 3)).shelf == 3


class _Ours(ServerError):
    def __init__(self, shop: str, shelf: int) -> None:
        Exception.__init__(self, shop)
        self.shelf = shelf


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_an_error_comes_out_of_a_pool_of_processes(method: str) -> None:
    with multiprocessing.get_context(method).Pool(1) as pool:
        outcome = pool.apply_async(_not_found)
        with pytest.raises(TimerNotFound, match="because") as caught:
            outcome.get(30)
    assert caught.value.data["id"] == "a"


def _not_found() -> None:
    raise server_error(Refusal(ErrorCode.TIMER_NOT_FOUND, "because", id="a").to_error())
