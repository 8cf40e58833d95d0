"""Exchanges with PostgreSQL over libpq's socket, as generators that never wait themselves.

Each yields what it waits for, and is sent whether that came in time. Where it has much to do by itself, it yields None,
so that others may have their turn. So the same steps serve a caller that blocks (`finish`), and a loop that polls the
socket among others.
"""

import re
import select
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import closing
from functools import partial
from typing import NamedTuple, TypeVar

from psycopg import OperationalError, pq
from psycopg.pq.abc import PGconn, PGresult

from timer_server.store.postgres.lookup import Lookup
from timer_server.store.postgres.sentences import Failed, Lost
from timer_server.store.postgres.statements import Statement
from timer_server.store.postgres.url import Host

T = TypeVar("T")

_CANCELLED_WAIT = b"01000"
"""SQLSTATE of the warning that a commit was not waited for: the standby may not have it."""

_HOST = re.compile(r"^connection to server .*? failed: | Is the server running .*[?]")

_GOOD = (pq.ExecStatus.TUPLES_OK, pq.ExecStatus.COMMAND_OK)


class Wait(NamedTuple):
    """A socket to wait for, and the events of `select.poll`."""

    socket: int
    events: int


Steps = Generator[Wait | None, bool, T]
"""An exchange: yields `Wait`, or None for a pause, is sent whether it came in time, and returns what came of it."""


Exchange = Callable[[PGconn], Steps[T]]
"""What begins an exchange over a connection."""


class Answer(NamedTuple):
    """What a statement has returned, once it has ended.

    `is_confirmed` is whether its commit was waited for to the end. One whose wait for the standby was cancelled
    succeeds as well, with a warning alone.
    """

    rows: list[tuple[bytes, ...]]
    is_confirmed: bool = True


def socket_of(connection: PGconn) -> int | None:
    """The socket of a connection; None where it is lost."""
    try:
        return connection.socket
    except OperationalError:
        return None


def is_lost(connection: PGconn) -> bool:
    """Whether a connection was found to be lost, while nothing was asked."""
    try:
        connection.consume_input()
        connection.is_busy()  # which reads what has come
    except OperationalError:
        return True
    return connection.status != pq.ConnStatus.OK


def finish(steps: Steps[T], silence_ms: int) -> T:
    """Goes through an exchange, waiting no longer than so for the next sign of the other side."""
    try:
        wait = next(steps)
        while True:
            poll = select.poll()
            if wait is not None:
                poll.register(wait.socket, wait.events)
            wait = steps.send(wait is None or bool(poll.poll(silence_ms)))
    except StopIteration as end:
        result: T = end.value
        return result


def connecting(host: Host) -> Steps[PGconn]:
    """A connection to a host. Raises `Lost`, with the reason."""
    conninfo = host.at((yield from _looked_up(host.to_look_up))) if host.to_look_up else host.conninfo
    connection = pq.PGconn.connect_start(conninfo)
    try:
        yield from _connected(connection)
    except BaseException:
        connection.finish()
        raise
    connection.nonblocking = 1
    return connection


def _looked_up(name: str) -> Steps[list[str]]:
    with closing(Lookup(name)) as lookup:
        if not (yield Wait(lookup.fileno(), select.POLLIN)):
            raise Lost("the name service does not answer in time")
        return lookup.addresses()


def _connected(connection: PGconn) -> Steps[None]:
    while (status := connection.connect_poll()) != pq.PollingStatus.OK:
        if status == pq.PollingStatus.FAILED:
            raise Lost(_reason(connection))
        yield from _waited(connection, select.POLLIN if status == pq.PollingStatus.READING else select.POLLOUT)


def preparing(connection: PGconn, statements: Iterable[Statement]) -> Steps[None]:
    """Prepares statements. Raises `Lost` and `Failed`."""
    for name, text, types in statements:
        yield from _sent(connection, partial(connection.send_prepare, name.encode(), text.encode(), types))


def asking(connection: PGconn, statement: Statement, parameters: Sequence[bytes] = ()) -> Steps[Answer]:
    """Executes a statement. Raises `Lost` and `Failed`.

    Parameters and rows are in binary, and null is empty. When this returns, the statement has ended, and PostgreSQL is
    ready for the next.
    """
    name, text, types = statement
    formats, binary = [pq.Format.BINARY] * len(parameters), pq.Format.BINARY
    if name:
        send = partial(connection.send_query_prepared, name.encode(), parameters, formats, binary)
    else:
        send = partial(connection.send_query_params, text.encode(), parameters, types, formats, binary)
    return (yield from _sent(connection, send))


def _sent(connection: PGconn, send: Callable[[], None]) -> Steps[Answer]:
    """Sends something, and reads up to where PostgreSQL is ready again."""
    warnings: list[bytes | None] = []
    connection.notice_handler = lambda notice: warnings.append(notice.error_field(pq.DiagnosticField.SQLSTATE))
    try:
        send()
        while connection.flush():
            yield from _waited(connection, select.POLLIN | select.POLLOUT)
            connection.consume_input()
        result = yield from _result(connection)
    except OperationalError:
        raise Lost(_reason(connection)) from None
    finally:
        connection.notice_handler = None
    if connection.status != pq.ConnStatus.OK:
        raise Lost(_told(result.get_error_message()) or _reason(connection))
    if result.status not in _GOOD:
        raise Failed(_field(result, pq.DiagnosticField.SQLSTATE), _field(result, pq.DiagnosticField.MESSAGE_PRIMARY))
    return Answer(_rows(result), _CANCELLED_WAIT not in warnings)


def _result(connection: PGconn) -> Steps[PGresult]:
    """The first result. The statement has ended when there is no further one."""
    first = None
    while True:
        while connection.is_busy():
            yield from _waited(connection, select.POLLIN)
            connection.consume_input()
        if (result := connection.get_result()) is None:
            break
        first = first or result
    if first is None:
        raise Lost(_reason(connection))
    return first


def _waited(connection: PGconn, events: int) -> Steps[None]:
    if not (yield Wait(connection.socket, events)):
        raise Lost("no answer in time")


def _rows(result: PGresult) -> list[tuple[bytes, ...]]:
    get, columns = result.get_value, range(result.nfields)
    return [tuple([get(row, column) or b"" for column in columns]) for row in range(result.ntuples)]


def _field(result: PGresult, field: pq.DiagnosticField) -> str:
    return (result.error_field(field) or b"").decode(errors="replace")


def _reason(connection: PGconn) -> str:
    return _told(connection.get_error_message()) or "the connection is lost"


def _told(said: str) -> str:
    """What libpq says of a failure, in one line, without the host, which the caller knows."""
    return _HOST.sub("", " ".join(said.split()))
