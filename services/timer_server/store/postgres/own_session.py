"""A session that a server keeps with the primary for one kind of work, and whether what it has written is durable."""

from collections.abc import Callable, Iterable, Sequence
from typing import Generic, NamedTuple, TypeVar

from timer_server.store.base import StoreError
from timer_server.store.postgres.database import Replication
from timer_server.store.postgres.exchange import Answer, Steps, asking, is_lost, preparing, socket_of
from timer_server.store.postgres.seen import Seen
from timer_server.store.postgres.sentences import Fault, moved, not_confirmed, not_replicated, sentence
from timer_server.store.postgres.session import Session, opening
from timer_server.store.postgres.statements import STANDBYS, TAKE_PLACE, Statement
from timer_server.store.postgres.url import Url

T = TypeVar("T")

_SHORT_NS = 20_000_000
"""How long a standby is taken to go on as it did. Commits that follow each other closely take less, and pay nothing."""


class Reply(NamedTuple, Generic[T]):
    """What a statement has done, and why that is not known to be durable; None where it is."""

    value: T
    doubt: str | None = None


class OwnSession:
    """At most one session is open. A statement that writes has rows that end with `synchronous_standby_names` and the
    process of PostgreSQL that has executed it."""

    statements: Iterable[Statement] = ()
    """What it prepares."""

    doing = "write"
    """What it is for, as operators are told: to read or to write."""

    def __init__(
        self, url: Url, name: str, replication: Replication, now_ns: Callable[[], int], seen: Seen | None = None
    ) -> None:
        """`name` is what PostgreSQL shows. A session that opens ends those of the same name."""
        self._url = url
        self._name = name
        self._replication = replication
        self._seen = Seen() if seen is None else seen
        self._now_ns = now_ns
        self._replicated_ns = -_SHORT_NS
        """When a standby was last known to have all that was written."""
        self.session: Session | None = None
        """The session; None where it is not open."""

    @property
    def socket(self) -> int | None:
        """The socket of the session, which can be read where it is lost; None where there is none."""
        return None if self.session is None else socket_of(self.session.connection)

    @property
    def backend(self) -> int | None:
        """The process of PostgreSQL that serves it; None where it is not open."""
        return None if self.session is None else self.session.about.backend

    def opening(self) -> Steps[None]:
        """Opens the session with the primary, and ends those that this server had before. Raises a `Fault`."""
        self.close()
        session = yield from opening(self._url, self._seen)
        try:
            yield from asking(session.connection, TAKE_PLACE, [self._name.encode()])
            yield from preparing(session.connection, self.statements)
        except BaseException:
            session.connection.finish()
            raise
        self.session, self._replicated_ns = session, -_SHORT_NS

    def asking(self, statement: Statement, values: Sequence[bytes] = ()) -> Steps[Answer]:
        """Executes a statement. Raises a `Fault`."""
        assert self.session is not None
        return (yield from asking(self.session.connection, statement, values))

    def writing(self, statement: Statement, values: Sequence[bytes] = ()) -> Steps[Reply[list[tuple[bytes, ...]]]]:
        """Executes a statement that writes, and gives its rows. Raises a `Fault`.

        Where `synchronous_standby_names` is emptied, PostgreSQL ends the wait for a standby without a warning. The
        names in the rows are those from before the wait; a statement that may have waited counts with those that are
        found after it.
        """
        answer = yield from self.asking(statement, values)
        doubt = self._doubt(answer)
        if doubt is None and answer.rows and self._replication == "required":
            if self._now_ns() - self._replicated_ns >= _SHORT_NS:
                ((names,),) = (yield from self.asking(STANDBYS)).rows
                doubt = None if names else not_replicated(self._url.shown)
            self._replicated_ns = self._now_ns() if doubt is None else -_SHORT_NS
        return Reply(answer.rows, doubt)

    def _doubt(self, answer: Answer) -> str | None:
        """Why what a statement has written is not durable by its answer; None where it is, or nothing was written."""
        assert self.session is not None
        if not answer.is_confirmed:
            return not_confirmed(self._url.shown)
        if not answer.rows:
            return None
        *_, standbys, backend = answer.rows[0]
        if self._replication == "required" and not standbys:
            return not_replicated(self._url.shown)
        return None if int.from_bytes(backend, "big") == self.session.about.backend else moved(self._url.shown)

    def is_lost(self) -> bool:
        """Whether the session was found to be lost while nothing was asked, or another primary was promoted since."""
        session = self.session
        return session is None or self._seen.is_newer_than(session.about) or is_lost(session.connection)

    def explain(self, fault: Fault) -> StoreError:
        """A sentence for the operator. It is `StoreAway` where the fault may end by itself."""
        return sentence(self.doing, self._url.shown, fault)

    def close(self) -> None:
        """Ends the session. What was asked last may be done or not."""
        if self.session is not None:
            self.session.connection.finish()
            self.session = None
