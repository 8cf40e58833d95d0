"""Reads and writes key files. An existing key is never overwritten."""

from pathlib import Path

from timer_protocol.key_files import Key, from_text, to_text
from timer_protocol.sender import DEFAULT_RIGHTS, Right
from timer_protocol.small_files import read_small_file

_PRIVATE_FOLDER = 0o700
_PRIVATE, _PUBLIC = 0o600, 0o644


class KeyFileError(Exception):
    """A key file cannot be used. The text is a sentence for the user."""


def read_key(path: Path) -> Key:
    """The key in a file. Raises `KeyFileError`."""
    try:
        return from_text(read_small_file(path).decode("utf-8-sig"))
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise KeyFileError(f"cannot read the key file {path}: {reason}") from None
    except ValueError as error:
        raise KeyFileError(f"cannot use the key file {path}: {error}") from None


def is_there(path: Path) -> bool:
    """Whether there is such a file. Raises `KeyFileError` where its folder cannot be searched."""
    try:
        return path.exists()
    except OSError as error:
        raise KeyFileError(f"cannot look for {path}: {error.strerror}") from None


def make_folder(folder: Path) -> None:
    """Makes a folder for its owner alone, where it is missing. Raises `KeyFileError`."""
    try:
        folder.mkdir(mode=_PRIVATE_FOLDER, parents=True, exist_ok=True)
    except OSError as error:
        raise KeyFileError(f"cannot make the folder {folder}: {error.strerror}") from None


def write_key(path: Path, key: Key) -> bool:
    """Writes a key to a new file, a secret one for its owner alone; False where the file has the key already.

    Raises `KeyFileError` where the file has another key, or cannot be written; then no part of it is left.
    """
    make_folder(path.parent)
    try:
        path.touch(mode=_PRIVATE if key.secret else _PUBLIC, exist_ok=False)
        try:
            path.write_text(to_text(key))
        except OSError:
            path.unlink()
            raise
    except FileExistsError:
        if read_key(path) != key:
            what = "is there already, with another key, prefix, rights, max_timers or role; remove it first"
            raise KeyFileError(f"{path} {what}") from None
        return False
    except OSError as error:
        raise KeyFileError(f"cannot write {path}: {error.strerror}") from None
    return True


def make_pair(
    secret: Path,
    public: Path,
    prefix: str = "",
    rights: frozenset[Right] = DEFAULT_RIGHTS,
    max_timers: int | None = None,
    role: str = "",
) -> list[tuple[Path, bool]]:
    """Makes the missing files of a pair: the secret one, and the public one, which says what the key may do.

    Returns each file with whether it is new. Raises `KeyFileError`; a new secret is removed then.
    """
    has_secret = is_there(secret)
    if is_there(public) and not has_secret:
        raise KeyFileError(f"{public} is there already, and its secret is not in {secret.parent}; remove it first")
    pair = read_key(secret) if has_secret else _new_pair()
    secret_is_new = write_key(secret, pair)
    try:
        key = Key(pair.public, None, prefix, rights, role, max_timers)
        return [(secret, secret_is_new), (public, write_key(public, key))]
    except KeyFileError:
        if secret_is_new:
            secret.unlink()
        raise


def _new_pair() -> Key:
    import zmq  # noqa: PLC0415 - the protocol itself needs no socket

    public, secret = zmq.curve_keypair()
    return Key(public.decode(), secret.decode())
