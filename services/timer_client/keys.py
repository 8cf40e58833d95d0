"""A client's CURVE keys, read from the files that its settings name."""

from pathlib import Path
from typing import NamedTuple

from timer_client.errors import ConfigError
from timer_client.settings import Settings
from timer_protocol.key_files import PUBLIC_SUFFIX, SECRET_SUFFIX, SERVER_NAME, Key
from timer_protocol.key_pairs import KeyFileError, read_key

_SERVER_FILE = f"{SERVER_NAME}{PUBLIC_SUFFIX}"


class Keys(NamedTuple):
    """The keys for a CURVE socket, as Z85: both halves of the client's, and the server's public one."""

    public: bytes
    secret: bytes
    server_public: bytes


def load_keys(settings: Settings) -> Keys | None:
    """The keys named by settings; None if there are none. Raises `ConfigError`."""
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


def _read(path: Path, variable: str) -> Key:
    try:
        return read_key(path)
    except KeyFileError as error:
        raise ConfigError(f"{variable}: {error}") from None
