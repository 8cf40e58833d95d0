"""The tokens that let callers in: read from their file, and made anew as an operator asks or at the first start."""

import contextlib
import fcntl
import os
import secrets
from collections.abc import Iterable, Iterator
from itertools import count
from pathlib import Path
from typing import Final, NamedTuple

from timer_gateway.callers import ANYBODY, Caller
from timer_gateway.token_file import HEAD, digest_of, from_text, to_line
from timer_protocol.sender import ALL_RIGHTS, Right
from timer_protocol.small_files import fault_of_kind, read_small_file

TOKEN_CHARACTERS: Final = 200
"""What may come as a token. Ours are shorter."""

_BEGINNING = "timer_"
"""Tokens begin so, which tells people and scanners for secrets what they have found."""

_RANDOM_BYTES = 32
_PRIVATE = 0o600
_BY_OTHERS = 0o022
_FIRST_NAME = "first"


class TokenFileError(Exception):
    """The file of tokens cannot be used. The text is a sentence for the operator."""


class Changes(NamedTuple):
    """The names of tokens that were added, removed, or may do something else since the file was read before."""

    added: list[str]
    removed: list[str]
    changed: list[str]


class Tokens:
    """Who has a token. Raises `TokenFileError`.

    `is_sheltered` is whether only programs of this machine reach the gateway, and it can do no more than they could
    without it. Then nobody is asked for a token for as long as there is no file of them.
    """

    def __init__(self, path: Path, *, is_sheltered: bool) -> None:
        self._path = path
        self._is_sheltered = is_sheltered
        callers = read_tokens(path)
        self._is_asked = callers is not None or not is_sheltered
        self._callers = _by_digest(callers or ())

    def __len__(self) -> int:
        return len(self._callers)

    @property
    def anybody(self) -> Caller | None:
        """The caller without a token; None where one is asked for."""
        return None if self._is_asked else ANYBODY

    def caller_of(self, token: str) -> Caller | None:
        """The caller with this token. The look-up is by its hash, so the time it takes tells nothing about others."""
        return self._callers.get(digest_of(token)) if len(token) <= TOKEN_CHARACTERS else None

    def caller_with(self, digest: str) -> Caller | None:
        """The caller whose token has this hash."""
        return self._callers.get(digest)

    def lets_in(self, caller: Caller) -> bool:
        """Whether a caller of an earlier moment would be let in now, and may do the same as then."""
        return caller is self.anybody or caller.is_same(self._callers.get(caller.digest))

    def reload(self) -> Changes:
        """Reads the file again. Raises `TokenFileError` where it cannot be used; then all stay as they were."""
        callers = read_tokens(self._path)
        if callers is None and self._is_asked:
            raise TokenFileError(f"{self._path} is gone; all tokens stay as they were until there is one")
        before, after = self._callers, _by_digest(callers or ())
        self._callers = after
        self._is_asked = self._is_asked or callers is not None
        kept = before.keys() & after.keys()
        return Changes(
            sorted(after[digest].name for digest in after.keys() - kept),
            sorted(before[digest].name for digest in before.keys() - kept),
            sorted(after[digest].name for digest in kept if not after[digest].is_same(before[digest])),
        )


def read_tokens(path: Path) -> tuple[Caller, ...] | None:
    """The callers with a token; None where there is no such file. Raises `TokenFileError`."""
    try:
        return from_text(read_small_file(path).decode("utf-8-sig"))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise TokenFileError(f"cannot read the tokens in {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise TokenFileError(f"cannot use the tokens in {path}: it is not text") from None
    except ValueError as error:
        raise TokenFileError(f"cannot use the tokens in {path}: {error}") from None


def is_open_to_changes(path: Path) -> bool:
    """Whether others than its owner may write to the file, and so let themselves in."""
    try:
        return bool(path.stat().st_mode & _BY_OTHERS)
    except OSError:
        return False


def make_token(path: Path, rights: frozenset[Right], prefix: str = "", name: str = "") -> tuple[str, Caller]:
    """Makes a token, and keeps its hash in the file. Returns it with its caller. Raises `TokenFileError`.

    Without a name it gets the first one of `token-1`, `token-2` and so on that is free.
    """
    with _locked(path) as descriptor:
        taken = {caller.name for caller in read_tokens(path) or ()}
        if name in taken:
            raise TokenFileError(
                f"{path} has a token of the name {name!r} already; take its line out, or choose another"
            )
        free = next(made for number in count(1) if (made := f"token-{number}") not in taken)
        return _add(path, descriptor, Caller(name or free, prefix, rights, ""))


def make_first_token(path: Path) -> str | None:
    """Makes a token with every right where the file has none, or there is no file. Raises `TokenFileError`."""
    if read_tokens(path):
        return None
    with _locked(path) as descriptor:
        if read_tokens(path):  # another process was quicker
            return None
        return _add(path, descriptor, Caller(_FIRST_NAME, "", ALL_RIGHTS, ""))[0]


def _add(path: Path, descriptor: int, wanted: Caller) -> tuple[str, Caller]:
    """Adds the line of a new token by one write, and has it on the disk before anybody gets to know the token."""
    token = _BEGINNING + secrets.token_urlsafe(_RANDOM_BYTES)
    caller = Caller(wanted.name, wanted.prefix, wanted.rights, digest_of(token))
    try:
        is_new = os.fstat(descriptor).st_size == 0
        line = ((HEAD if is_new else "") + to_line(caller)).encode()
        if os.write(descriptor, line) < len(line):
            raise TokenFileError(f"{path} was written in part alone, so its last line has to be taken out")
        os.fsync(descriptor)
        if is_new:
            _sync_folder(path.parent)
    except OSError as error:
        raise TokenFileError(f"cannot write the tokens in {path}: {error.strerror}") from None
    return token, caller


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[int]:
    """The file, made where it is missing, open for lines at its end. Whoever else adds one waits meanwhile."""
    flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        descriptor = os.open(path, flags, _PRIVATE)
    except OSError as error:
        raise TokenFileError(f"cannot write the tokens in {path}: {error.strerror}") from None
    try:
        fault = fault_of_kind(os.fstat(descriptor).st_mode)
        if fault is not None:
            raise TokenFileError(f"cannot write the tokens in {path}: {fault}")
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield descriptor
    finally:
        os.close(descriptor)


def _sync_folder(folder: Path) -> None:
    """Makes the name of a new file durable as well."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _by_digest(callers: Iterable[Caller]) -> dict[str, Caller]:
    return {caller.digest: caller for caller in callers}
