"""The key files of a server: its own pair, and the public keys of allowed clients."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import zmq

from timer_protocol.key_files import PUBLIC_SUFFIX, SECRET_SUFFIX, SERVER_NAME
from timer_protocol.key_pairs import KeyFileError, make_folder, make_pair, read_key, write_key
from timer_protocol.sender import ALL_RIGHTS, Sender
from timer_server.logs import fields, log

CLIENTS_FOLDER = "clients"

_OF_OTHERS = 0o077


class CurveFiles(NamedTuple):
    """The server's secret file, and the folder with the public files of allowed clients."""

    secret: Path
    clients: Path


def read_pair(path: Path) -> tuple[bytes, bytes]:
    """The public and the secret half of a pair, as Z85. Raises `KeyFileError`."""
    key = read_key(path)
    if key.secret is None:
        raise KeyFileError(f"{path} has no secret-key; it has to be a file that ends in {SECRET_SUFFIX}")
    if zmq.curve_public(key.secret.encode()) != key.public.encode():
        raise KeyFileError(f"the two keys in {path} are not a pair")
    if path.stat().st_mode & _OF_OTHERS:
        log.warning("others may read the secret key", extra=fields(file=str(path), help="chmod 600"))
    return key.public.encode(), key.secret.encode()


def read_senders(folder: Path) -> Mapping[str, Sender]:
    """The clients whose public files are in a folder, by public key, named as their files. Raises `KeyFileError`."""
    if not folder.is_dir():
        raise KeyFileError(f"there is no folder {folder} for the public keys of clients")
    senders: dict[str, Sender] = {}
    for path in sorted(folder.glob(f"*{PUBLIC_SUFFIX}")):
        if path.name.startswith("."):
            continue  # an editor's file
        key = read_key(path)
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
    made = make_pair(folder / f"{SERVER_NAME}{SECRET_SUFFIX}", folder / f"{SERVER_NAME}{PUBLIC_SUFFIX}")
    make_folder(folder / CLIENTS_FOLDER)
    return made


def make_client_keys(folder: Path, name: str, prefix: str, hand_over: Path) -> list[tuple[Path, bool]]:
    """Makes a client's pair where it is missing, allows it, and puts into `hand_over` what the client needs.

    Returns each file with whether it is new. Raises `KeyFileError`.
    """
    own = read_key(folder / f"{SERVER_NAME}{PUBLIC_SUFFIX}")
    allowed = folder / CLIENTS_FOLDER / f"{name}{PUBLIC_SUFFIX}"
    made = make_pair(hand_over / f"{name}{SECRET_SUFFIX}", allowed, prefix)
    if hand_over.samefile(folder):
        return made
    servers = hand_over / f"{SERVER_NAME}{PUBLIC_SUFFIX}"
    return [*made, (servers, write_key(servers, own))]
