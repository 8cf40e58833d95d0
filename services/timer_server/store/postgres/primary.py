"""The primary as a committer talks to it: what it asks, each as an exchange, and whether what has come is durable."""

from collections.abc import Sequence
from typing import Generic, NamedTuple, TypeVar
from uuid import UUID

from timer_server.store.postgres.arrays import bytea_array, int4_array, int8_array, text_array
from timer_server.store.postgres.commit import ShardCommit, done, parameters
from timer_server.store.postgres.database import Replication
from timer_server.store.postgres.exchange import Answer, Steps, asking, is_lost, preparing, socket_of
from timer_server.store.postgres.sentences import Fault, moved, not_confirmed, not_replicated, sentence
from timer_server.store.postgres.session import About, Session, opening
from timer_server.store.postgres.statements import COMMIT, OF_COMMITS, RAISE, RENAME_OWN, TAKE_PLACE, Statement
from timer_server.store.postgres.store import epoch_and_state, number_of
from timer_server.store.postgres.url import Url
from timer_server.store.state import LogState, state_to_row

T = TypeVar("T")


class Reply(NamedTuple, Generic[T]):
    """What a statement has done, and why that is not known to be durable; None where it is."""

    value: T
    doubt: str | None


class Primary:
    """The primary of a database, over one session for the commits of one server, whose incarnation is `owner`."""

    def __init__(self, url: Url, owner: UUID, replication: Replication) -> None:
        self._url = url
        self._owner = owner
        self._replication = replication
        self._session: Session | None = None
        self._seen: About | None = None

    @property
    def socket(self) -> int | None:
        """The socket of the session, which can be read where it is lost; None where there is none."""
        return None if self._session is None else socket_of(self._session.connection)

    def opening(self) -> Steps[None]:
        """Opens a session with the primary, and ends those that this server had before. Raises a `Fault`."""
        self.close()
        session = yield from opening(self._url, self._seen)
        self._seen = session.about
        try:
            yield from asking(session.connection, TAKE_PLACE, [f"timer-server commits {self._owner}".encode()])
            yield from preparing(session.connection, OF_COMMITS)
        except BaseException:
            session.connection.finish()
            raise
        self._session = session

    def committing(self, commits: Sequence[ShardCommit]) -> Steps[Reply[frozenset[int]]]:
        """Commits, and gives the shards whose rows were as they had to be. Raises a `Fault`."""
        answer = yield from self._asking(COMMIT, parameters(self._owner, commits))
        return Reply(done(answer.rows).shards, self._doubt(answer))

    def renaming(self, commits: Sequence[ShardCommit]) -> Steps[Reply[frozenset[int]]]:
        """Gives shards new log ids, and gives the shards whose rows were as they had to be. Raises a `Fault`."""
        states = [state_to_row(commit.state) for commit in commits]
        values = [
            self._owner.bytes,
            int4_array([commit.number for commit in commits]),
            int8_array([commit.epoch for commit in commits]),
            text_array([commit.state.log_id for commit in commits]),
            bytea_array([body for body, _ in states]),
            int8_array([checksum for _, checksum in states]),
        ]
        answer = yield from self._asking(RENAME_OWN, values)
        return Reply(done(answer.rows).shards, self._doubt(answer))

    def raising(self, shards: Sequence[tuple[int, int]]) -> Steps[Reply[dict[int, tuple[int, LogState]]]]:
        """Raises the epochs of shards to those given, and gives the epoch and the state of each that is still this
        server's. Raises a `Fault`."""
        numbers, epochs = zip(*shards, strict=True)
        values = [self._owner.bytes, int4_array(numbers), int8_array(epochs)]
        answer = yield from self._asking(RAISE, values)
        return Reply({number_of(row[0]): epoch_and_state(row) for row in answer.rows}, self._doubt(answer))

    def is_lost(self) -> bool:
        """Whether the session was found to be lost, while nothing was asked."""
        return self._session is None or is_lost(self._session.connection)

    def explain(self, fault: Fault) -> str:
        """A sentence for the operator."""
        return str(sentence("write", self._url.shown, fault))

    def close(self) -> None:
        """Ends the session. What was asked last may be done or not."""
        if self._session is not None:
            self._session.connection.finish()
            self._session = None

    def _asking(self, statement: Statement, values: Sequence[bytes]) -> Steps[Answer]:
        assert self._session is not None
        return (yield from asking(self._session.connection, statement, values))

    def _doubt(self, answer: Answer) -> str | None:
        """Why what a statement has written is not known to be durable. Its rows end with the standbys and the backend
        process."""
        assert self._session is not None
        if not answer.is_confirmed:
            return not_confirmed(self._url.shown)
        if not answer.rows:
            return None
        *_, standbys, backend = answer.rows[0]
        if self._replication == "required" and not standbys:
            return not_replicated(self._url.shown)
        return None if number_of(backend) == self._session.about.backend else moved(self._url.shown)
