"""`python -m campaigns.sabotaged_commits`: a server on PostgreSQL with a fault planted in it, which a campaign finds.

`SABOTAGE` names the fault. Where `CLOCK_FILE` names a file, the server has the clocks that it sets.
"""

import os
import sys
from collections.abc import Callable, Mapping

from campaigns import clocked_server
from campaigns.sabotaged_members import MEMBER_SABOTAGES
from campaigns.sabotaged_owners import OWNER_SABOTAGES
from campaigns.sabotaged_server import CLOCK_SABOTAGES
from timer_server.__main__ import main
from timer_server.store.postgres import exchange, session
from timer_server.store.postgres.database import Replication
from timer_server.store.postgres.own_session import OwnSession
from timer_server.store.postgres.pipeline import Pipeline
from timer_server.store.postgres.seen import Seen
from timer_server.store.postgres.url import Url
from timer_server.store.state import LogState


def waits_for_no_disk() -> None:
    """PostgreSQL acknowledges a commit before any disk has it."""
    on, off = "('synchronous_commit', 'on',", "('synchronous_commit', 'off',"
    for name in ("_SET", "_READ_BACK"):
        statement = getattr(session, name)
        assert on in statement.text
        setattr(session, name, statement._replace(text=statement.text.replace(on, off)))


def trusts_any_primary() -> None:
    """That PostgreSQL waits for no standby is not looked at once the server has begun."""
    begin = OwnSession.__init__

    def begin_it(
        self: OwnSession,
        url: Url,
        name: str,
        _replication: Replication,
        now_ns: Callable[[], int],
        seen: Seen | None = None,
    ) -> None:
        begin(self, url, name, "none", now_ns, seen)

    OwnSession.__init__ = begin_it  # type: ignore[method-assign]


def takes_a_cancelled_wait_for_done() -> None:
    """The warning that a commit was not waited for is not seen."""
    exchange._CANCELLED_WAIT = b"none"


def takes_what_was_cut_for_done() -> None:
    """Of a commit whose answer is lost nobody finds out whether it was done."""
    raised = Pipeline.raised

    def as_if_done(self: Pipeline, found: Mapping[int, tuple[int, LogState]]) -> None:
        under_way = {number: commit.state for number, commit in self._under_way.items()}
        raised(self, {n: (epoch, under_way.get(n, state)) for n, (epoch, state) in found.items()})

    Pipeline.raised = as_if_done  # type: ignore[method-assign]


SABOTAGES: dict[str, Callable[[], None]] = {
    sabotage.__name__: sabotage
    for sabotage in (
        waits_for_no_disk,
        trusts_any_primary,
        takes_a_cancelled_wait_for_done,
        takes_what_was_cut_for_done,
    )
}

if __name__ == "__main__":
    if clocked_server.CLOCK_FILE in os.environ:
        clocked_server.take_the_place_of_the_machine()
    (SABOTAGES | MEMBER_SABOTAGES | OWNER_SABOTAGES | CLOCK_SABOTAGES)[os.environ["SABOTAGE"]]()
    sys.exit(main())
