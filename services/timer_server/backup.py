"""`timer-server backup`, `check` and `restore`: a copy of a store that is in use, read to its end, and made a store."""

from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path

from timer_protocol.plurals import counted
from timer_server.civil_time.plans import local_moment
from timer_server.store.base import StoreError
from timer_server.store.blocks import Row
from timer_server.store.sqlite.backup_file import Contents, check_backup, restore_backup, write_backup
from timer_server.store.sqlite.schema import VERSION
from timer_server.wire.admin_link import AdminLink, LinkLost, NoServer
from timer_server.wire.admin_messages import Backup, Begun, Blocks, Ended, Kept, Refused, Told
from timer_server.wire.admin_place import admin_path


def backup(store: Path, file: Path) -> str:
    """Has the server that has a store open send a copy of it, and keeps that in a file. Returns what to tell.

    Raises `StoreError`.
    """
    path = admin_path(store)
    try:
        with closing(AdminLink(path)) as link:
            link.send(Backup())
            begun = link.receive()
            if not isinstance(begun, Begun):
                raise _no_copy(begun)
            if begun.schema != VERSION:
                of = f"schema {begun.schema}, this command knows {VERSION}"
                raise StoreError(f"the server is of another version ({of}): use its own command")
            contents = write_backup(file, begun.header, slices(link))
            with suppress(LinkLost):  # it is made, whether the server hears of it or not
                link.send(Kept())
    except NoServer:
        raise StoreError(
            f"no server has {store} open: none listens at {path}; start it, or copy the files of the store"
        ) from None
    except LinkLost as lost:
        raise StoreError(str(lost)) from None
    return f"{file} is a backup of {_told(contents)}"


def check_file(file: Path) -> str:
    """Reads all of a backup, and returns what to tell. Raises `StoreError` where it is not whole."""
    return f"{file} is whole: {_told(check_backup(file))}"


def restore(file: Path, to: Path, new_log_id: Callable[[], str]) -> str:
    """Makes a store of a backup, and returns what to tell. Raises `StoreError`."""
    before, after = restore_backup(file, to, new_log_id)
    return (
        f"log {before.log_id} goes on as {after.log_id} after event {after.ends.last_seq} in {to}; the server may be"
        " started. What has happened since the backup is given up: timers that have ended since will end again"
    )


def slices(link: AdminLink) -> Iterator[list[Row]]:
    """The blocks of a copy, to its end. Raises `StoreError` and `LinkLost`."""
    while not isinstance(told := link.receive(), Ended):
        if not isinstance(told, Blocks):
            raise _no_copy(told)
        yield told.rows


def _no_copy(told: Told) -> StoreError:
    reason = told.reason if isinstance(told, Refused) else "what it says comes out of turn"
    return StoreError(f"the server makes no backup: {reason}")


def _told(contents: Contents) -> str:
    header, entries = contents
    when = f", of {local_moment(None, header.last_at_ms)}" if header.ends.last_place else ""
    held = counted(entries, "entry", "entries")
    return f"log {header.log_id} up to event {header.ends.last_seq}{when}, {held}"
