"""Sessions of the page: it gives its token once, and has a cookie from then on, which no script can read.

The cookie says whose token it stands for and since when, signed by the gateway. It holds no more than that, so it is
over with its token, and outlasts a restart.
"""

import hashlib
import hmac
import re
from collections.abc import Callable
from typing import Final, NamedTuple

from starlette.requests import cookie_parser

from timer_gateway.callers import Caller
from timer_gateway.tokens import Tokens

LIFETIME_S: Final = 30 * 86_400
RENEWED_AFTER_S: Final = 86_400
"""The age from which a page that is opened gets a fresh cookie: one in use never ends."""

_TEXT = re.compile(r"([0-9]{1,12})\.([0-9a-f]{64})\.([0-9a-f]{64})")
_PURPOSE = b"timer-gateway session 1\n"
_SECURE = "__Host-"
"""The beginning of a cookie's name for which browsers see to it that it comes from this host, and by HTTPS."""


class Session(NamedTuple):
    """Whose session a cookie stands for, since when, and whether it travels by HTTPS alone."""

    caller: Caller
    began_s: int
    is_secure: bool


class Sessions:
    """Signs and reads cookies. `now_s` is the time of day, in seconds."""

    def __init__(self, key: bytes, tokens: Tokens, now_s: Callable[[], float]) -> None:
        self._key = key
        self._tokens = tokens
        self._now_s = now_s

    def cookie(self, caller: Caller, port: int | None, *, is_secure: bool) -> str:
        """The `Set-Cookie` header that begins a session of a caller with a token."""
        said = f"{int(self._now_s())}.{caller.digest}"
        return _header(port, f"{said}.{self._signature(said)}", LIFETIME_S, is_secure=is_secure)

    def session_of(self, cookies: str, port: int | None, *, is_encrypted: bool) -> Session | None:
        """The session of a `Cookie` header. Over HTTPS of the gateway's own only a secure cookie counts.

        Elsewhere the secure one goes first: a plain one could have been set by another program on the same host.
        """
        found = cookie_parser(cookies)
        for is_secure in (True,) if is_encrypted else (True, False):
            session = self._read(found.get(_name(port, is_secure=is_secure), ""), is_secure=is_secure)
            if session is not None:
                return session
        return None

    def is_to_be_renewed(self, session: Session) -> bool:
        """Whether a session has lasted long enough for a fresh cookie."""
        return self._now_s() - session.began_s >= RENEWED_AFTER_S

    def _read(self, text: str, *, is_secure: bool) -> Session | None:
        match = _TEXT.fullmatch(text)
        if not match or not hmac.compare_digest(self._signature(f"{match[1]}.{match[2]}"), match[3]):
            return None
        began_s, caller = int(match[1]), self._tokens.caller_with(match[2])
        if caller is None or self._now_s() - began_s >= LIFETIME_S:
            return None
        return Session(caller, began_s, is_secure)

    def _signature(self, said: str) -> str:
        return hmac.new(self._key, _PURPOSE + said.encode(), hashlib.sha256).hexdigest()


def ended_cookies(port: int | None) -> list[str]:
    """The `Set-Cookie` headers that end a session."""
    return [_header(port, "", 0, is_secure=is_secure) for is_secure in (True, False)]


def _header(port: int | None, text: str, seconds: int, *, is_secure: bool) -> str:
    secure = "; Secure" if is_secure else ""
    return f"{_name(port, is_secure=is_secure)}={text}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}"


def _name(port: int | None, *, is_secure: bool) -> str:
    """The cookie's name. The port is in it, since browsers give the cookies of a host to all of its ports."""
    return f"{_SECURE if is_secure else ''}timer-session{f'-{port}' if port else ''}"
