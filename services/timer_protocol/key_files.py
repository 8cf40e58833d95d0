"""The text of files with CURVE keys, in the format of ZeroMQ's own tools (ZPL, RFC 4).

A public file holds one half of a pair, a secret file both. In the server's folder of allowed clients a public file may
bind its key to a prefix of timer ids, and say its rights and how many timers may be pending below the prefix. Unknown
lines are refused: an overlooked one would leave a key with more than was meant.
"""

import re
from typing import NamedTuple, get_args

from timer_protocol.ids import ID_PATTERN, is_valid_id
from timer_protocol.sender import DEFAULT_RIGHTS, Right

PUBLIC_SUFFIX = ".key"
SECRET_SUFFIX = ".key_secret"  # noqa: S105 - the end of a file name

SERVER_NAME = "server"
"""The name of the server's own files, which no client's may have."""

PREFIX_CHARACTERS = 92
"""The longest prefix: it leaves room in an id for the 36 characters of one that the server makes."""

TIMERS_MOST = 100_000_000
"""The most that `max_timers` may be, a server's or a key's."""

SERVER_ROLE = "server"
"""The role of a key that may speak for clients of its own: it is let in where servers connect, and only there."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_SECTIONS = {"metadata": ("prefix", "rights", "max_timers", "role"), "curve": ("public-key", "secret-key")}
_SECTION = re.compile(r"(\S+)\s*(#.*)?")
_ENTRY = re.compile(r"""\s+(\S+)\s*=\s*("[^"]*"|'[^']*'|[^\s"'#]\S*)\s*(#.*)?""")
_Z85 = re.compile(r"[0-9a-zA-Z.:+=^!/*?&<>()\[\]{}@%$#-]{40}")
_PUBLIC_HEAD = "#   A ZeroMQ CURVE public key. May be given to anyone.\n"
_SECRET_HEAD = "#   A ZeroMQ CURVE key pair. SECRET: whoever reads this file can act in its owner's name.\n"  # noqa: S105


class Key(NamedTuple):
    """A public key as 40 characters of Z85 (RFC 32), with its secret half and the prefix it is bound to, if any.

    `role` is "server" for a key that is no client's, and else empty. `max_timers` is how many timers may be
    pending below the prefix, None where there is no other bound than the server's.
    """

    public: str
    secret: str | None = None
    prefix: str = ""
    rights: frozenset[Right] = DEFAULT_RIGHTS
    role: str = ""
    max_timers: int | None = None


def to_text(key: Key) -> str:
    """The text of a key's file."""
    lines = [_SECRET_HEAD if key.secret else _PUBLIC_HEAD, "metadata"]
    if key.prefix:
        lines.append(f'    prefix = "{key.prefix}"')
    if key.rights != DEFAULT_RIGHTS:
        lines.append(f'    rights = "{rights_to_text(key.rights)}"')
    if key.max_timers is not None:
        lines.append(f'    max_timers = "{key.max_timers}"')
    if key.role:
        lines.append(f'    role = "{key.role}"')
    lines += ["curve", f'    public-key = "{key.public}"']
    if key.secret:
        lines.append(f'    secret-key = "{key.secret}"')
    return "\n".join(lines) + "\n"


def from_text(text: str) -> Key:
    """The key in a file's text. Raises ValueError, with what is wrong."""
    found = _entries(text)
    for name in ("public-key", "secret-key"):
        if name in found and not _Z85.fullmatch(found[name]):
            raise ValueError(f"its {name} is not 40 characters of Z85")
    if "public-key" not in found:
        raise ValueError("it has no public-key")
    prefix, role = found.get("prefix", ""), found.get("role", "")
    check_prefix(prefix)
    if role not in ("", SERVER_ROLE):
        raise ValueError(f"its role is {role!r}, and the only one is {SERVER_ROLE!r}; a client's key has none")
    rights = rights_from_text(found["rights"]) if "rights" in found else DEFAULT_RIGHTS
    max_timers = max_timers_from_text(found["max_timers"]) if "max_timers" in found else None
    check_share(prefix, max_timers)
    if role and {"prefix", "rights", "max_timers"} & found.keys():
        raise ValueError("it is the key of a server, which has neither prefix, rights nor max_timers")
    return Key(found["public-key"], found.get("secret-key"), prefix, rights, role, max_timers)


def check_name(name: str) -> None:
    """Raises ValueError unless a client's key files can have this name."""
    if not _NAME.fullmatch(name) or name == SERVER_NAME:
        raise ValueError(f"{name!r} is no name for a file: use A-Z a-z 0-9 . _ - (and not {SERVER_NAME!r})")


def check_prefix(prefix: str) -> None:
    """Raises ValueError unless ids can begin with this text."""
    if prefix and (not is_valid_id(prefix) or len(prefix) > PREFIX_CHARACTERS):
        raise ValueError(f"a prefix is at most {PREFIX_CHARACTERS} of the characters of an id, {ID_PATTERN}")


def max_timers_from_text(text: str) -> int:
    """The number in a text such as `1000`. Raises ValueError for what is none, or no possible one."""
    if not re.fullmatch(r"[0-9]{1,9}", text) or not 1 <= int(text) <= TIMERS_MOST:
        raise ValueError(f"max_timers is {text!r}, but must be a whole number of timers from 1 to {TIMERS_MOST}")
    return int(text)


def check_share(prefix: str, max_timers: int | None) -> None:
    """Raises ValueError for a number of timers where there is no prefix below which they are counted."""
    if max_timers is not None and not prefix:
        raise ValueError("max_timers says how many timers may be pending below the prefix of a key, so it needs one")


def rights_from_text(text: str) -> frozenset[Right]:
    """The rights in a text such as `read,take`. Raises ValueError for what is none."""
    words = [word.strip() for word in text.split(",")]
    for word in words:
        if word not in get_args(Right):
            raise ValueError(f"{word!r} is no right; rights are {', '.join(get_args(Right))}, with commas in between")
    return frozenset(right for right in get_args(Right) if right in words)


def rights_to_text(rights: frozenset[Right]) -> str:
    """The text of rights, in the order in which they are documented."""
    return ",".join(right for right in get_args(Right) if right in rights)


def _entries(text: str) -> dict[str, str]:
    """The values by name. Raises ValueError for a line that is not understood or repeats a name."""
    found: dict[str, str] = {}
    allowed: tuple[str, ...] = ()
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        section, entry = _SECTION.fullmatch(line.rstrip()), _ENTRY.fullmatch(line.rstrip())
        if section and section[1] in _SECTIONS:
            allowed = _SECTIONS[section[1]]
        elif entry and entry[1] in allowed and entry[1] not in found:
            found[entry[1]] = entry[2].strip("\"'")
        else:
            wanted = ", ".join(f'{name} = "…"' for name in allowed if name not in found)
            raise ValueError(
                f"line {number} is not understood: {line.strip()!r} (here may stand {wanted or 'a section'})"
            )
    return found
