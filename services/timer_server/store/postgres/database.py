"""The database over one connection whose every wait has a limit: how it is opened, read, and written where a caller may
wait."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Literal, TypeVar
from uuid import UUID

from timer_protocol.settings import SettingError, without_password
from timer_server.store.base import Notice, StoreAway, StoreError
from timer_server.store.integrity import Damage
from timer_server.store.postgres.commit import Done, ShardCommit, done, parameters
from timer_server.store.postgres.exchange import Answer, Exchange, Steps, asking, finish, preparing
from timer_server.store.postgres.schema import Shape
from timer_server.store.postgres.seen import About, Seen
from timer_server.store.postgres.sentences import (
    Failed,
    Lost,
    Unfit,
    damaged,
    moved,
    not_confirmed,
    not_replicated,
    sentence,
)
from timer_server.store.postgres.session import Session, opening
from timer_server.store.postgres.statements import COMMIT, OF_COMMITS, OF_READS, WAIT_BRIEFLY, Statement
from timer_server.store.postgres.tables import preparing_tables
from timer_server.store.postgres.url import Url, parse

T = TypeVar("T")

Replication = Literal["required", "external", "none"]
"""Who replicates commits: PostgreSQL itself, the storage below it, or nobody."""

READ_SILENCE_MS = 1_000
"""How long a read waits for the next sign of PostgreSQL."""

WRITE_SILENCE_MS = 5_000
"""How long a commit waits, which takes as long as the standby does."""


def fault_of_commit(shown: str, replication: Replication, about: About, answer: Answer, did: Done) -> StoreError | None:
    """Why a commit that has returned is not durable, or cannot be known to be; None where it is durable."""
    if not answer.is_confirmed:
        return StoreAway(not_confirmed(shown))
    if not did.shards:
        return None
    if replication == "required" and not did.standbys:
        return StoreAway(not_replicated(shown))
    return None if did.backend == about.backend else StoreError(moved(shown))


def named(text: str, replication: Replication) -> "Database":
    """The database that TIMER_STORE names, not yet open. Raises `SettingError`."""
    try:
        return Database(parse(text), replication)
    except ValueError as error:
        raise SettingError(f"TIMER_STORE is {without_password(text)!r}, which cannot be used: {error}") from None


class Database:
    """One database, as the URL names it.

    While its connection is lost, all fails at once with `StoreAway`, until `reconnect` has worked.
    """

    def __init__(self, url: Url, replication: Replication) -> None:
        self.url = url
        self.replication = replication
        self.shape = Shape()
        self._session: Session | None = None
        self.seen = Seen()
        """Shared by all sessions of a server."""
        self._refused: str | None = None

    def open(self, shape: Shape | None, new_log_id: Callable[[], str]) -> bool:
        """Connects, and makes or changes the tables where that is needed; returns whether the store is new.

        A new one gets this shape; without one there has to be a store. Raises `StoreError`.
        """
        session = self._connect()
        with self._explained("open"):
            self.shape, is_new = finish(preparing_tables(session.connection, shape, new_log_id), WRITE_SILENCE_MS)
            self._prepare(session)
        return is_new

    @property
    def identity(self) -> str:
        """What tells this database from all others, also after a failover. Raises `StoreAway`."""
        session = self._needed()
        return f"{session.about.system}/{session.connection.db.decode(errors='replace')}"

    def notices(self) -> list[Notice]:
        """What an operator should know of PostgreSQL."""
        if self.seen.newest is None or self.seen.newest.is_fsynced:
            return []
        text = "PostgreSQL does not wait for its disk (fsync is off): a loss of power may destroy the whole database"
        return [Notice(text, {"database": self.url.shown}, is_warning=True)]

    def reconnect(self) -> None:
        """Connects again if the connection was lost. Raises `StoreError`."""
        if self._session is None:
            session = self._connect()
            with self._explained("open"):
                self._prepare(session)

    @property
    def is_away(self) -> bool:
        """Whether there is no connection."""
        return self._session is None

    def reconnecting(self) -> Steps[None]:
        """Connects again, for reads, without waiting. Raises a `Fault`."""
        session = yield from opening(self.url, self.seen)
        try:
            yield from preparing(session.connection, OF_READS)
        except BaseException:
            session.connection.finish()
            raise
        self.close()
        self._session = session

    def take_refusal(self) -> str | None:
        """Why PostgreSQL has refused a read since the last call, though it is connected; None where it has not."""
        refusal, self._refused = self._refused, None
        return refusal

    def ask(
        self,
        statement: Statement,
        values: Sequence[bytes] = (),
        doing: str = "read",
        silence_ms: int = READ_SILENCE_MS,
    ) -> Answer:
        """Executes a statement. Raises `StoreError`."""
        with self._explained(doing):
            connection = self._needed().connection
            return finish(asking(connection, statement, values), silence_ms)

    def write(self, statement: Statement, values: Sequence[bytes]) -> Answer:
        """Executes a statement that writes, and waits until that is durable. Raises `StoreError`."""
        answer = self.ask(statement, values, "write", WRITE_SILENCE_MS)
        if not answer.is_confirmed:
            raise StoreAway(not_confirmed(self.url.shown))
        return answer

    def run(self, doing: str, begin: Exchange[T]) -> T:
        """Goes through an exchange, over a connection that is made where there is none. Raises `StoreError`."""
        session = self._session or self._connect()
        with self._explained(doing):
            return finish(begin(session.connection), WRITE_SILENCE_MS)

    def commit(self, owner: UUID, commits: Sequence[ShardCommit]) -> frozenset[int]:
        """Commits what a server writes in its shards, and returns those that it still owns: nothing was written in the
        others. Raises `StoreError`."""
        answer = self.ask(COMMIT, parameters(owner, commits), "write", WRITE_SILENCE_MS)
        did = done(answer.rows)
        fault = fault_of_commit(self.url.shown, self.replication, self._needed().about, answer, did)
        if fault is not None:
            raise fault
        return did.shards

    @contextmanager
    def explained(self, shard: int) -> Iterator[None]:
        """Turns damage that is found in a shard into a `StoreError`."""
        try:
            yield
        except Damage as damage:
            raise damaged(f"{self.url.shown}, shard {shard},", damage) from damage

    def close(self) -> None:
        """Closes the connection."""
        if self._session is not None:
            self._session.connection.finish()
            self._session = None

    def _connect(self) -> Session:
        self.close()
        with self._explained("open"):
            session = finish(opening(self.url, self.seen), READ_SILENCE_MS)
            finish(asking(session.connection, WAIT_BRIEFLY), READ_SILENCE_MS)
        self._session = session
        if self.replication == "required" and not session.about.standbys:
            self.close()
            raise StoreAway(not_replicated(self.url.shown))
        return session

    def _prepare(self, session: Session) -> None:
        finish(preparing(session.connection, (*OF_COMMITS, *OF_READS)), READ_SILENCE_MS)

    def _needed(self) -> Session:
        if self._session is None:
            raise StoreAway(f"{self.url.shown} is away")
        return self._session

    @contextmanager
    def _explained(self, doing: str) -> Iterator[None]:
        """Turns what PostgreSQL can cause into a `StoreError`, and closes a connection of which nothing is known."""
        try:
            yield
        except (Damage, Failed, Lost, Unfit) as error:
            if not isinstance(error, Failed) or doing == "open":
                self.close()
            failure = sentence(doing, self.url.shown, error)
            if isinstance(error, Failed) and doing == "read":
                self._refused = str(failure)
            raise failure from error
