"""The format in which entries are written, and the servers that there are with those that they can read."""

from typing import NamedTuple
from uuid import UUID

import msgspec

from timer_server.store.membership import ServerRow, Told
from timer_server.store.postgres.database import Database
from timer_server.store.postgres.statements import Statement

_LOOK = Statement(
    "",
    """
    select timer_store.format::text, incarnation, joined, name, array_to_string(formats, ' '), told
    from timer_store left join timer_server on not dead
    order by joined
    """,
)
"""One row for each server that was not declared dead, or one without a server."""


class Formats(NamedTuple):
    """The format written, and the living servers in the order in which they joined."""

    written: int
    servers: list[ServerRow]


def look(database: Database) -> Formats:
    """Reads the format that is written, and who can read which. Raises `StoreError`."""
    rows = database.ask(_LOOK).rows
    return Formats(int(rows[0][0]), [_server(*row[1:]) for row in rows if row[1]])


def _server(incarnation: bytes, joined: bytes, name: bytes, formats: bytes, told: bytes) -> ServerRow:
    return ServerRow(
        str(UUID(bytes=incarnation)),
        int.from_bytes(joined, "big"),
        name.decode(),
        formats=tuple(map(int, formats.split())),
        told=msgspec.msgpack.decode(told, type=Told) if told else Told(),
    )
