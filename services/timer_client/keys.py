"""A client's CURVE keys: read from the files that its settings name, and made for `timer keygen`."""

from pathlib import Path
from typing import NamedTuple

import zmq

from timer_client.errors import ConfigError
from timer_client.settings import Settings
from timer_protocol.key_files import PUBLIC_SUFFIX, SECRET_SUFFIX, Key, from_text, to_text

_SERVER_FILE = f"server{PUBLIC_SUFFIX}"


class Keys(NamedTuple):
    """What a socket needs to speak CURVE, as Z85: the client's two halves, and the server's public one."""

    public: bytes
    secret: bytes
    server_public: bytes


def load_keys(settings: Settings) -> Keys | None:
    """The keys that settings name; None where they name none. Raises `ConfigError`."""
    if not settings.curve_client_secret:
        if settings.curve_server_public:
            raise ConfigError("TIMER_CURVE_SERVER_PUBLIC is set, but TIMER_CURVE_CLIENT_SECRET is not: set both")
        return None
    path = Path(settings.curve_client_secret)
    own = _read(path, "TIMER_CURVE_CLIENT_SECRET")
    if own.secret is None:
        raise ConfigError(
            f"TIMER_CURVE_CLIENT_SECRET is {str(path)!r}, but must be a file that ends in {SECRET_SUFFIX}"
        )
    server_path = Path(settings.curve_server_public or path.parent / _SERVER_FILE)
    server = _read(server_path, "TIMER_CURVE_SERVER_PUBLIC")
    return Keys(own.public.encode(), own.secret.encode(), server.public.encode())


def make_keys(folder: Path, name: str) -> tuple[Path, Path]:
    """Makes a pair: the secret file, readable by its owner only, and the public one, for the server's operator.

    Raises `ConfigError` where one is there already, or none can be written.
    """
    public, secret = (half.decode() for half in zmq.curve_keypair())
    paths = folder / f"{name}{SECRET_SUFFIX}", folder / f"{name}{PUBLIC_SUFFIX}"
    for path in paths:
        if path.exists():
            raise ConfigError(f"{path} is there already; keys are never overwritten")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path, key, mode in zip(paths, (Key(public, secret), Key(public)), (0o600, 0o644), strict=True):
            path.touch(mode, exist_ok=False)
            path.write_text(to_text(key))
    except OSError as error:
        for path in paths:
            path.unlink(missing_ok=True)
        raise ConfigError(f"cannot write {error.filename}: {error.strerror}") from None
    return paths


def _read(path: Path, variable: str) -> Key:
    try:
        return from_text(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        reason = str(error.strerror)
    except ValueError as error:
        reason = "it is not text" if isinstance(error, UnicodeDecodeError) else str(error)
    raise ConfigError(f"{variable}: cannot use the key file {path}: {reason}")
