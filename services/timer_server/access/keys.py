"""The key files of a server: its own pair, and the public keys of allowed clients."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import zmq

from timer_protocol.key_files import PUBLIC_SUFFIX, SECRET_SUFFIX, SERVER_NAME, SERVER_ROLE
from timer_protocol.key_pairs import KeyFileError, make_folder, make_pair, read_key, write_key
from timer_protocol.sender import DEFAULT_RIGHTS, Right, Sender

CLIENTS_FOLDER = "clients"

_OF_OTHERS = 0o077


class CurveFiles(NamedTuple):
    """The server's secret file, and the folder with the public files of allowed clients."""

    secret: Path
    clients: Path


class Grant(NamedTuple):
    """What a client's key is good for, as its file says it; with the role `server` it is no client's."""

    prefix: str = ""
    rights: frozenset[Right] = DEFAULT_RIGHTS
    max_timers: int | None = None
    role: str = ""


class Allowed(NamedTuple):
    """Who may connect, by public key: clients, and servers that speak for their own clients."""

    clients: Mapping[str, Sender]
    servers: Mapping[str, Sender]


def read_pair(path: Path) -> tuple[bytes, bytes]:
    """The public and the secret half of a pair, as Z85. Raises `KeyFileError`."""
    key = read_key(path)
    if key.secret is None:
        raise KeyFileError(f"{path} has no secret-key; it has to be a file that ends in {SECRET_SUFFIX}")
    if zmq.curve_public(key.secret.encode()) != key.public.encode():
        raise KeyFileError(f"the two keys in {path} are not a pair")
    return key.public.encode(), key.secret.encode()


def is_open_to_others(path: Path) -> bool:
    """Whether others than its owner may read a file."""
    return bool(_stat(path).st_mode & _OF_OTHERS)


def folder_identity(folder: Path) -> tuple[int, int]:
    """What tells a folder from another one that stands under its name later. Raises `KeyFileError`."""
    found = _stat(folder)
    return found.st_dev, found.st_ino


def read_allowed(folder: Path) -> Allowed:
    """The owners of the public files in a folder, by public key, named as their files.

    Raises `KeyFileError` where the folder cannot be listed, or one of the files cannot be used.
    """
    clients: dict[str, Sender] = {}
    servers: dict[str, Sender] = {}
    for path in _public_files(folder):
        key = read_key(path)
        if key.secret is not None:
            raise KeyFileError(
                f"{path} holds a secret key, which belongs to its client alone; put the {PUBLIC_SUFFIX} here"
            )
        if (other := clients.get(key.public) or servers.get(key.public)) is not None:
            raise KeyFileError(f"{path} has the same key as {other.name}{PUBLIC_SUFFIX}; remove one")
        if key.role == SERVER_ROLE:
            servers[key.public] = Sender(path.stem, "", frozenset())
        else:
            clients[key.public] = Sender(path.stem, key.prefix, key.rights, key.max_timers)
    return Allowed(clients, servers)


def _public_files(folder: Path) -> Iterator[Path]:
    try:
        paths = sorted(folder.iterdir())  # `glob` finds nothing where it may not look
    except OSError as error:
        raise KeyFileError(f"cannot list the folder {folder} of clients' public keys: {error.strerror}") from None
    for path in paths:
        if path.name.endswith(PUBLIC_SUFFIX) and not path.name.startswith("."):  # those are an editor's
            yield path


def _stat(path: Path) -> os.stat_result:
    try:
        return path.stat()
    except OSError as error:
        raise KeyFileError(f"cannot read {path}: {error.strerror}") from None


def make_server_keys(folder: Path) -> list[tuple[Path, bool]]:
    """Makes a server's pair and its folder of clients where they are missing.

    Returns each file with whether it is new. Raises `KeyFileError`.
    """
    made = make_pair(folder / f"{SERVER_NAME}{SECRET_SUFFIX}", folder / f"{SERVER_NAME}{PUBLIC_SUFFIX}")
    make_folder(folder / CLIENTS_FOLDER)
    return made


def make_client_keys(folder: Path, name: str, hand_over: Path, grant: Grant) -> list[tuple[Path, bool]]:
    """Makes a client's pair where it is missing, lets it in, and puts into `hand_over` what the client needs.

    Returns each file with whether it is new. Raises `KeyFileError`.
    """
    own = read_key(folder / f"{SERVER_NAME}{PUBLIC_SUFFIX}")
    allowed = folder / CLIENTS_FOLDER / f"{name}{PUBLIC_SUFFIX}"
    made = make_pair(hand_over / f"{name}{SECRET_SUFFIX}", allowed, *grant)
    if hand_over.samefile(folder):
        return made
    servers = hand_over / f"{SERVER_NAME}{PUBLIC_SUFFIX}"
    return [*made, (servers, write_key(servers, own))]
