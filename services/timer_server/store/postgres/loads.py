"""The session over which the logs of shards are loaded."""

from collections.abc import Callable

from timer_server.store.postgres.exchange import Steps
from timer_server.store.postgres.loading import Ahead, Begin, loading, reading_ahead
from timer_server.store.postgres.own_session import OwnSession, Reply
from timer_server.store.postgres.statements import OF_LOADS
from timer_server.store.state import LogState


class Loads(OwnSession):
    """The session for loading. It writes nothing."""

    statements = OF_LOADS
    doing = "read"

    def reading_ahead(self, number: int, goes_on: Callable[[], bool]) -> Steps[Reply[Ahead | None]]:
        """Reads the log of a shard that another server writes to; None where it was to go on no longer. Raises a
        `Fault`."""
        assert self.session is not None
        return Reply((yield from reading_ahead(self.session.connection, number, goes_on)))

    def loading(self, number: int, epoch: int, begin: Begin, ahead: Ahead | None) -> Steps[Reply[LogState | None]]:
        """Loads the log of a shard, and gives what its row holds; None where it is in another epoch by now. Raises a
        `Fault`."""
        assert self.session is not None
        return Reply((yield from loading(self.session.connection, number, epoch, begin, ahead)))
