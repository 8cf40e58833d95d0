"""The gate decides who may connect, by CURVE keys, and tells the sender of a message by them.

The user id of a connection is its client's public key.
"""

import hashlib
import logging
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import zmq
from zmq.utils import z85

from timer_protocol.key_files import SERVER_ROLE, rights_to_text
from timer_protocol.key_pairs import KeyFileError
from timer_protocol.sender import ALL_RIGHTS, NOBODY, Sender
from timer_server.access.keys import Allowed, CurveFiles, folder_identity, is_open_to_others, read_allowed, read_pair
from timer_server.logs import fields, log

_DOMAIN = b"timer"

PEERS = b"peers"
"""The domain of the socket where other servers connect."""

_KEY_BYTES = 32

_NAMED = 50
"""Names of keys in a line of the log."""


class Fingerprints(NamedTuple):
    """SHA-256 of a server's public key, and of who is allowed with it. Servers of one store have the same."""

    pair: bytes = b""
    clients: bytes = b""


_OWN = Sender("the server's own key", "", ALL_RIGHTS)


class Gate:
    """Admits clients whose public keys are in a folder, and holders of the server's own pair.

    Where servers connect it admits those whose key is marked so, and again holders of the pair. Raises `KeyFileError`.
    """

    def __init__(self, files: CurveFiles) -> None:
        self._folder = files.clients
        self._public, self._secret = read_pair(files.secret)
        if is_open_to_others(files.secret):
            log.warning("others may read the secret key", extra=fields(file=str(files.secret), help="chmod 600"))
        self._always = {self._public.decode(): _OWN}
        self._senders = self._servers = self._always
        self._folder_read: tuple[int, int] | None = None
        self._take(self._read())
        self._refused = 0

    def guard(self, socket: "zmq.Socket[bytes]", domain: bytes = _DOMAIN) -> None:
        """Makes a socket speak CURVE only. It must not be bound yet."""
        socket.curve_server = True
        socket.curve_secretkey = self._secret
        socket.zap_domain = domain

    def present(self, socket: "zmq.Socket[bytes]") -> None:
        """Makes a socket that will connect to another server show the pair, which that one has too."""
        socket.curve_serverkey = socket.curve_publickey = self._public
        socket.curve_secretkey = self._secret

    def sender_of(self, frame: zmq.Frame) -> Sender:
        """The sender of a frame; `NOBODY` for a key that is no longer allowed."""
        try:
            return self._senders.get(str(frame.get("User-Id")), NOBODY)
        except zmq.ZMQError:  # a frame of ZeroMQ's own, about a gone peer
            return NOBODY

    def is_server(self, public: str) -> bool:
        """Whether a key is allowed where servers connect."""
        return public in self._servers

    def user_id(self, domain: bytes, address: bytes, credentials: list[bytes]) -> bytes | None:
        """The user id for a connection that is being made; None for one that is refused, which is counted."""
        public = z85.encode(credentials[0]) if _is_key(credentials) else b""
        if public.decode() in (self._servers if domain == PEERS else self._senders):
            return public
        self._refuse(address, public)
        return None

    def reload(self) -> bool:
        """Reads the folder again. Returns whether a client's key was removed or has other rights.

        Raises `KeyFileError` where anything cannot be read; then all keys stay as they were.
        """
        before = self._senders
        self._take(self._read())
        return any(not sender.may_the_same_as(self._senders.get(public, NOBODY)) for public, sender in before.items())

    def shares(self) -> Mapping[str, int]:
        """How many timers may be pending below each prefix for which a key says so; the least, where several do."""
        shares: dict[str, int] = {}
        for sender in self._senders.values():
            if sender.max_timers is not None:
                shares[sender.prefix] = min(sender.max_timers, shares.get(sender.prefix, sender.max_timers))
        return shares

    def suspend(self, frame: zmq.Frame) -> None:
        """Refuses the key of the sender of a frame until the folder is read again."""
        public = str(frame.get("User-Id"))
        sender = self._senders.pop(public, None)
        if sender is not None:
            log.error("a key is suspended until keys are read again", extra=fields(client=sender.name))

    def fingerprints(self) -> Fingerprints:
        """What tells whether another server has the same pair and allows the same keys."""
        digest = hashlib.sha256()
        for public, sender in sorted({**self._senders, **self._servers}.items()):
            role = SERVER_ROLE if public in self._servers else ""
            rights = rights_to_text(sender.rights)
            digest.update(repr((public, sender.name, sender.prefix, rights, sender.max_timers, role)).encode())
        return Fingerprints(hashlib.sha256(self._public).digest(), digest.digest())

    def take_refused(self) -> int:
        """The number of connections refused since the last call."""
        refused, self._refused = self._refused, 0
        return refused

    def _take(self, allowed: Allowed) -> None:
        self._senders = {**allowed.clients, **self._always}
        self._servers = {**allowed.servers, **self._always}

    def _read(self) -> Allowed:
        identity, (clients, servers) = folder_identity(self._folder), read_allowed(self._folder)
        before = {**self._servers, **self._senders}
        if not clients and not servers and len(before) > len(self._always) and identity != self._folder_read:
            raise KeyFileError(
                f"{self._folder} is empty, and another folder than the one read before, as after an unmount; a restart"
                " of the server reads it as it is"
            )
        counts = {
            "clients": len(clients.keys() - self._always.keys()),
            "servers": len(servers.keys() - self._always.keys()),
            "bound": sum(bool(sender.prefix) for sender in clients.values()),
            "limited": sum(sender.max_timers is not None for sender in clients.values()),
        }
        after = {**servers, **clients, **self._always}
        changes: dict[str, Any] = {} if self._folder_read is None else _changes(before, after)
        is_another = "removed" in changes and identity != self._folder_read
        if is_another:
            changes["help"] = "another folder is in the place of the one read before"
        level = logging.WARNING if is_another else logging.INFO
        log.log(level, "keys read", extra=fields(**counts, folder=str(self._folder), **changes))
        self._folder_read = identity
        return Allowed(clients, servers)

    def _refuse(self, address: bytes, public: bytes) -> None:
        self._refused += 1
        log.debug(
            "connection refused: its key is not allowed",
            extra=fields(address=address.decode(errors="replace"), key=public.decode()),
        )


def _changes(before: Mapping[str, Sender], after: Mapping[str, Sender]) -> dict[str, Any]:
    """The names of keys that were added, removed, or may do something else than before, each where there are any."""
    kept = before.keys() & after.keys()
    found = {
        "added": [after[public] for public in after.keys() - kept],
        "removed": [before[public] for public in before.keys() - kept],
        "changed": [after[public] for public in kept if not _are_alike(after[public], before[public])],
    }
    return {change: _names(senders) for change, senders in found.items() if senders}


def _are_alike(one: Sender, other: Sender) -> bool:
    return one.may_the_same_as(other) and one.max_timers == other.max_timers


def _names(senders: Iterable[Sender]) -> list[str]:
    names = sorted(sender.name for sender in senders)
    return names if len(names) <= _NAMED else [*names[:_NAMED], f"… and {len(names) - _NAMED} more"]


def _is_key(credentials: list[bytes]) -> bool:
    return len(credentials) == 1 and len(credentials[0]) == _KEY_BYTES
