"""The text of the file of tokens: each has a line with its SHA-256, its name, its rights, and perhaps its prefix.

The token itself is nowhere. It is 32 random bytes, so that nobody finds it by its hash. What is not understood is
refused, as it would leave a token with more than was meant; so is a last line without an end, as a half-written file
has one.
"""

import hashlib
import re
from collections.abc import Iterable

from timer_gateway.callers import ANYBODY, Caller
from timer_protocol.key_files import check_prefix, rights_from_text, rights_to_text

HEAD = (
    "# Tokens of timer-gateway: the SHA-256 of each, its name, what it may do, and what ids that it may touch begin"
    " with.\n# To revoke one, take its line out and send the gateway SIGHUP.\n"
)

_MEMBERS = ("name", "rights", "prefix")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def digest_of(token: str) -> str:
    """What is kept of a token."""
    return hashlib.sha256(token.encode(errors="replace")).hexdigest()


def check_name(name: str) -> None:
    """Raises ValueError unless a token can have this name."""
    if not _NAME.fullmatch(name) or name == ANYBODY.name:
        raise ValueError(f"a name is 1 to 64 of A-Z a-z 0-9 . _ - and not {ANYBODY.name!r}")


def to_line(caller: Caller) -> str:
    """The line of a token, with its end."""
    prefix = f" prefix={caller.prefix}" if caller.prefix else ""
    return f"{caller.digest} name={caller.name} rights={rights_to_text(caller.rights)}{prefix}\n"


def from_text(text: str) -> tuple[Caller, ...]:
    """The callers with a token. Raises ValueError, which says what is wrong, and no part of a token."""
    if text and not text.endswith("\n"):
        raise ValueError("its last line has no end, so a part of it may be missing; end it with a line break")
    callers: list[Caller] = []
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip() and not line.lstrip().startswith("#"):
            try:
                callers.append(_from_line(line, callers))
            except ValueError as error:
                raise ValueError(f"line {number} cannot be used: {error}") from None
    return tuple(callers)


def _from_line(line: str, before: Iterable[Caller]) -> Caller:
    digest, *words = line.split()
    if not _DIGEST.fullmatch(digest):
        raise ValueError(
            "it does not begin with a SHA-256 in 64 hexadecimal digits (a token itself does not belong here)"
        )
    found: dict[str, str] = {}
    for word in words:
        member, _, value = word.partition("=")
        if member not in _MEMBERS or member in found or not value:
            raise ValueError(
                "after the SHA-256 stand name=…, rights=… and perhaps prefix=…, each once and without spaces"
            )
        found[member] = value
    if "name" not in found or "rights" not in found:
        raise ValueError("it has to say both name=… and rights=…")
    if any(found["name"] == other.name or digest == other.digest for other in before):
        raise ValueError("an earlier line has the same token or name")
    check_name(found["name"])
    check_prefix(found.get("prefix", ""))
    return Caller(found["name"], found.get("prefix", ""), rights_from_text(found["rights"]), digest)
