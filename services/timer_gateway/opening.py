"""Opens the gateway: reads who may come in, and makes the first token where one is needed and there is none."""

import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Final

from timer_gateway.access import Access
from timer_gateway.hosts import Hosts, host_of, is_loopback
from timer_gateway.logs import log
from timer_gateway.session_key import key_path, session_key
from timer_gateway.sessions import Sessions
from timer_gateway.settings import GatewaySettings
from timer_gateway.tokens import Changes, TokenFileError, Tokens, is_open_to_changes, make_first_token
from timer_protocol.log_lines import fields
from timer_protocol.settings import SettingError

_EVERY_INTERFACE: Final = ("0.0.0.0", "::", "*")  # noqa: S104 - compared, not bound
_KEY_BYTES: Final = 32


def open_access(settings: GatewaySettings, now_s: Callable[[], float]) -> tuple[Access, str | None]:
    """The access of a gateway with these settings, and its first token, which nobody knows yet.

    The token is None where there are some already, or none is needed. `now_s` is the time of day. Raises
    `TokenFileError` and `SettingError`.
    """
    try:
        hosts = Hosts(settings.hosts, is_encrypted=settings.is_encrypted)
    except ValueError as error:
        raise SettingError(f"TIMER_GATEWAY_HOSTS cannot be used: {error}") from None
    is_sheltered = settings.is_on_loopback and not settings.client.curve_client_secret
    tokens = Tokens(settings.tokens, is_sheltered=is_sheltered)
    first, key = None, secrets.token_bytes(_KEY_BYTES)
    if tokens.anybody is None:
        first = make_first_token(settings.tokens)
        tokens.reload()
        key = _session_key(settings.tokens)
        log.info("tokens read", extra=fields(tokens=len(tokens), file=str(settings.tokens)))
        if is_open_to_changes(settings.tokens):
            log.warning("others may write to the tokens", extra=fields(file=str(settings.tokens), help="chmod 600"))
    else:
        log.info("programs of this machine need no token", extra=fields(file=str(settings.tokens)))
    return Access(hosts, tokens, Sessions(key, tokens, now_s)), first


def page_link(settings: GatewaySettings, port: int, token: str | None = None) -> str:
    """The address of the page; with its first token for the operator alone.

    What stands behind `#` stays in the browser: it is in no request, and so in no log.
    """
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    name = settings.hosts[0] if settings.hosts else "localhost" if settings.host in _EVERY_INTERFACE else host
    is_behind_https = settings.is_plain and bool(settings.hosts) and not is_loopback(host_of(name).name)
    authority = name if host_of(name).port is not None or is_behind_https else f"{name}:{port}"
    address = f"{'https' if settings.is_encrypted or is_behind_https else 'http'}://{authority}"
    return address if token is None else f"{address}/#token={token}"


def _session_key(tokens: Path) -> bytes:
    key, fault = session_key(key_path(tokens))
    if fault is not None:
        log.warning("sessions of the page end with this process", extra=fields(reason=fault))
    return key


def read_again(tokens: Tokens) -> Changes | None:
    """Reads the tokens again, as SIGHUP asks for, and logs what has changed; None where they cannot be used.

    All then stay as they were, also one that was to be taken away.
    """
    try:
        changes = tokens.reload()
    except TokenFileError as error:
        log.error("tokens not read", extra=fields(reason=str(error)))
        return None
    changed = {change: names for change, names in changes._asdict().items() if names}
    log.info("tokens read", extra=fields(tokens=len(tokens), **changed))
    return changes
