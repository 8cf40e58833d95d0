"""The primary as a committer talks to it: what it asks, each as an exchange, and whether what has come is durable."""

from collections.abc import Callable, Sequence
from uuid import UUID

from timer_server.store.postgres.arrays import bytea_array, int4_array, int8_array, text_array
from timer_server.store.postgres.commit import ShardCommit, done, parameters
from timer_server.store.postgres.database import Replication
from timer_server.store.postgres.exchange import Steps
from timer_server.store.postgres.membership import Handover, handing_over
from timer_server.store.postgres.membership_statements import HAND_OVER
from timer_server.store.postgres.own_session import OwnSession, Reply
from timer_server.store.postgres.seen import Seen
from timer_server.store.postgres.statements import COMMIT, OF_COMMITS, RAISE, RENAME_OWN
from timer_server.store.postgres.store import epoch_and_state, number_of
from timer_server.store.postgres.url import Url
from timer_server.store.state import LogState, state_to_row


class Primary(OwnSession):
    """The session for the commits of one server.

    `owner` is its incarnation, which may be another in the next statement. Each of them raises a `Fault`.
    """

    statements = (*OF_COMMITS, HAND_OVER)

    def __init__(
        self, url: Url, owner: UUID, replication: Replication, now_ns: Callable[[], int], seen: Seen | None = None
    ) -> None:
        super().__init__(url, f"timer-server commits {owner}", replication, now_ns, seen)
        self.owner = owner

    def committing(self, commits: Sequence[ShardCommit]) -> Steps[Reply[frozenset[int]]]:
        """Commits, and gives the shards whose rows were as they had to be."""
        written = yield from self.writing(COMMIT, parameters(self.owner, commits))
        return Reply(done(written.value).shards, written.doubt)

    def renaming(self, commits: Sequence[ShardCommit]) -> Steps[Reply[frozenset[int]]]:
        """Gives shards new log ids, and gives the shards whose rows were as they had to be."""
        states = [state_to_row(commit.state) for commit in commits]
        values = [
            self.owner.bytes,
            int4_array([commit.number for commit in commits]),
            int8_array([commit.epoch for commit in commits]),
            text_array([commit.state.log_id for commit in commits]),
            bytea_array([body for body, _ in states]),
            int8_array([checksum for _, checksum in states]),
        ]
        written = yield from self.writing(RENAME_OWN, values)
        return Reply(done(written.value).shards, written.doubt)

    def raising(self, shards: Sequence[tuple[int, int]]) -> Steps[Reply[dict[int, tuple[int, LogState]]]]:
        """Raises the epochs of shards to those given, and gives the epoch and the state of each that is still this
        server's."""
        numbers, epochs = zip(*shards, strict=True)
        values = [self.owner.bytes, int4_array(numbers), int8_array(epochs)]
        written = yield from self.writing(RAISE, values)
        return Reply({number_of(row[0]): epoch_and_state(row) for row in written.value}, written.doubt)

    def handing_over(self, shards: Sequence[Handover]) -> Steps[Reply[frozenset[int]]]:
        """Gives shards away, and gives those that were as this server had left them."""
        return (yield from handing_over(self, str(self.owner), shards))
