"""The key that signs the cookies of the page, kept beside the file of tokens so that a restart ends no session."""

import os
import secrets
from pathlib import Path

from timer_protocol.small_files import read_small_file

_BYTES = 32
_PRIVATE = 0o600


def key_path(tokens: Path) -> Path:
    """Where the key is, given the file of tokens."""
    return tokens.with_name(f"{tokens.name}.session-key")


def session_key(path: Path) -> tuple[bytes, str | None]:
    """The key in a file, which is made where it is missing.

    Where it can be neither read nor made, the key is a new one, and the second value says why: sessions then end with
    this process.
    """
    try:
        return _made(path), None
    except FileExistsError:
        pass
    except OSError as error:
        return secrets.token_bytes(_BYTES), f"cannot write {path}: {error.strerror}"
    try:
        key = bytes.fromhex(read_small_file(path).decode("ascii"))
    except OSError as error:
        return secrets.token_bytes(_BYTES), f"cannot read {path}: {error.strerror}"
    except ValueError:
        key = b""
    if len(key) != _BYTES:
        return secrets.token_bytes(_BYTES), f"{path} does not hold {_BYTES} bytes in hexadecimal digits; remove it"
    return key, None


def _made(path: Path) -> bytes:
    """A new key, in a file that was not there. It gets its name once it is whole, so that nobody reads a part of it."""
    key = secrets.token_bytes(_BYTES)
    if path.exists():
        raise FileExistsError(path)
    part = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _PRIVATE)
    try:
        os.write(descriptor, key.hex().encode())
        os.fsync(descriptor)
        os.link(part, path)  # raises FileExistsError where another process was quicker
    finally:
        os.close(descriptor)
        part.unlink()
    return key
