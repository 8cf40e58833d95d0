"""`timer-server upgrade`: entries are written in the newest format of this release, once all servers read it."""

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

from timer_protocol.plurals import counted
from timer_server.cluster.formats import upgrade_fault
from timer_server.store.membership import ServerRow
from timer_server.store.postgres.database import Database
from timer_server.store.postgres.formats import look
from timer_server.store.postgres.membership import raising_format
from timer_server.store.postgres.schema import FORMATS
from timer_server.store.postgres.tables import finding_tables


class Upgrade(NamedTuple):
    """What was found and done, in lines, and why entries cannot be written in the new format; None where they can."""

    lines: list[str]
    fault: str | None


def upgrade(database: Database, *, is_dry_run: bool, formats: Sequence[int] = FORMATS) -> Upgrade:
    """Has entries written in the last of these formats, or tells who cannot read it. Raises `StoreError`."""
    database.run("open", finding_tables)
    wanted, found = formats[-1], look(database)
    shown, fault = database.url.shown, upgrade_fault(found.servers, found.written, wanted)
    if is_dry_run:
        may = f"format {wanted} can be read by {counted(len(found.servers), 'server')}"
        lines = [_written(shown, found.written), *map(_reads, found.servers)]
        return Upgrade(lines if fault or found.written == wanted else [*lines, may], fault)
    fault = fault or _raise_format(database, wanted)
    done = "kept" if found.written == wanted else "raised"
    return Upgrade([] if fault else [f"{done} {_written(shown, wanted)}"], fault)


def _raise_format(database: Database, wanted: int) -> str | None:
    """Has entries written in a format that all servers could read just now, and returns why not: one may have come."""
    if database.run("write", partial(raising_format, wanted=wanted)):
        return None
    found = look(database)
    come_and_gone = f"a server that cannot read format {wanted} has come and gone; try again"
    return upgrade_fault(found.servers, found.written, wanted) or come_and_gone


def _written(shown: str, written: int) -> str:
    return f"{shown}: entries are written in format {written}"


def _reads(row: ServerRow) -> str:
    release = f" ({row.told.release})" if row.told.release else ""
    return f"server {row.name}{release} reads {', '.join(map(str, row.formats))}"
