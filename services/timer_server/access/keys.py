"""The key files of a server with encryption on: its own pair, and the public keys of those who may connect."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import zmq

from timer_protocol.key_files import PUBLIC_SUFFIX, SECRET_SUFFIX, Key, from_text, to_text
from timer_protocol.sender import ALL_RIGHTS, Sender
from timer_server.logs import fields, log

SERVER_NAME = "server"
CLIENTS_FOLDER = "clients"

_PRIVATE_FOLDER = 0o700
_OF_OTHERS = 0o077


class KeyFileError(Exception):
    """A key file cannot be used. The text is a sentence for the operator."""


class CurveFiles(NamedTuple):
    """Where the keys are: the server's secret file, and the folder with the public files of allowed clients."""

    secret: Path
    clients: Path


def read_pair(path: Path) -> tuple[bytes, bytes]:
    """The public and the secret half of a pair, as Z85. Raises `KeyFileError`."""
    key = _read(path)
    if key.secret is None:
        raise KeyFileError(f"{path} has no secret-key; it has to be a file that ends in {SECRET_SUFFIX}")
    if zmq.curve_public(key.secret.encode()) != key.public.encode():
        raise KeyFileError(f"the two keys in {path} are not a pair")
    if path.stat().st_mode & _OF_OTHERS:
        log.warning("others may read the secret key", extra=fields(file=str(path), help="chmod 600"))
    return key.public.encode(), key.secret.encode()


def read_senders(folder: Path) -> Mapping[str, Sender]:
    """Those whose public files are in a folder, by public key; each is named as its file. Raises `KeyFileError`."""
    if not folder.is_dir():
        raise KeyFileError(f"there is no folder {folder} for the public keys of clients")
    senders: dict[str, Sender] = {}
    for path in sorted(folder.glob(f"*{PUBLIC_SUFFIX}")):
        if path.name.startswith("."):
            continue  # an editor's, and no key
        key = _read(path)
        if key.secret is not None:
            raise KeyFileError(
                f"{path} holds a secret key, which belongs to its client alone; put the {PUBLIC_SUFFIX} here"
            )
        if key.public in senders:
            raise KeyFileError(f"{path} has the same key as {senders[key.public].name}{PUBLIC_SUFFIX}; remove one")
        senders[key.public] = Sender(path.stem, key.prefix, ALL_RIGHTS)
    return senders


def make_server_keys(folder: Path) -> list[tuple[Path, bool]]:
    """Makes a server's pair and its folder of clients where they are missing.

    Returns each file with whether it is new. Raises `KeyFileError`.
    """
    try:
        folder.mkdir(mode=_PRIVATE_FOLDER, parents=True, exist_ok=True)
        (folder / CLIENTS_FOLDER).mkdir(mode=_PRIVATE_FOLDER, exist_ok=True)
        return _make_pair(folder / f"{SERVER_NAME}{SECRET_SUFFIX}", folder / f"{SERVER_NAME}{PUBLIC_SUFFIX}")
    except OSError as error:
        raise KeyFileError(f"cannot write keys to {folder}: {error.strerror}") from None


def make_client_keys(folder: Path, name: str, prefix: str, hand_over: Path) -> list[tuple[Path, bool]]:
    """Makes a client's pair where it is missing, allows it, and puts into `hand_over` what the client needs.

    Returns each file with whether it is new. Raises `KeyFileError`.
    """
    own = _read(folder / f"{SERVER_NAME}{PUBLIC_SUFFIX}")
    try:
        hand_over.mkdir(mode=_PRIVATE_FOLDER, parents=True, exist_ok=True)
        allowed = folder / CLIENTS_FOLDER / f"{name}{PUBLIC_SUFFIX}"
        made = _make_pair(hand_over / f"{name}{SECRET_SUFFIX}", allowed, prefix)
        if hand_over.samefile(folder):
            return made
        servers = hand_over / f"{SERVER_NAME}{PUBLIC_SUFFIX}"
        return [*made, (servers, _write(servers, Key(own.public)))]
    except OSError as error:
        raise KeyFileError(f"cannot write the keys of {name}: {error}") from None


def _make_pair(secret: Path, public: Path, prefix: str = "") -> list[tuple[Path, bool]]:
    if public.exists() and not secret.exists():
        raise KeyFileError(f"{public} is there already, and its secret is not in {secret.parent}; remove it first")
    pair = _read(secret) if secret.exists() else _new_pair()
    if public.exists() and _read(public) != Key(pair.public, prefix=prefix):
        raise KeyFileError(f"{public} is there already, with another key or prefix; remove it first")
    return [(secret, _write(secret, pair)), (public, _write(public, Key(pair.public, prefix=prefix)))]


def _new_pair() -> Key:
    public, secret = zmq.curve_keypair()
    return Key(public.decode(), secret.decode())


def _write(path: Path, key: Key) -> bool:
    """Writes a key to a new file, which is private where the key is; False where it is there already.

    Raises `KeyFileError` where the file has another key.
    """
    try:
        path.touch(mode=0o600 if key.secret else 0o644, exist_ok=False)
    except FileExistsError:
        if _read(path) != key:
            raise KeyFileError(f"{path} is there already, with another key or prefix; remove it first") from None
        return False
    try:
        path.write_text(to_text(key))
    except OSError:
        path.unlink()
        raise
    return True


def _read(path: Path) -> Key:
    try:
        return from_text(path.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise KeyFileError(f"cannot read the key file {path}: {reason}") from None
    except ValueError as error:
        raise KeyFileError(f"cannot use the key file {path}: {error}") from None
