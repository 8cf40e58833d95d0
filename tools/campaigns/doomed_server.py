"""`python -m campaigns.doomed_server`: the server, which kills itself at a chosen point of the turn.

`DOOM_POINT` names the point and `DOOM_COUNT` how often it is passed before: the next time is the end. With
`DOOM_PIPELINED` turns are in flight meanwhile. Where `CLOCK_FILE` names a file, the server has the clocks that it sets.
"""

import os
import signal
import sys
from collections.abc import Callable, Iterable, Iterator

from campaigns import clocked_server
from campaigns.pipelined_server import put_turns_in_flight
from timer_server.__main__ import main
from timer_server.core.ledger import Changes
from timer_server.core.model import Countdown, Entry
from timer_server.store.base import Anchor, Header
from timer_server.store.sqlite.store import SqliteStore
from timer_server.wire.commands import Commands
from timer_server.wire.events import Events


class Doom:
    """Counts how often a point is passed."""

    def __init__(self, left: int) -> None:
        self._left = left

    def pass_by(self) -> None:
        """One more; the last one does not return."""
        self._left -= 1
        if self._left < 0:
            os.kill(os.getpid(), signal.SIGKILL)


def before_commit(doom: Doom) -> None:
    """A turn with changes is about to be committed."""
    commit = SqliteStore.commit

    def doomed(self: SqliteStore, changes: Changes, anchor: Anchor | None = None) -> None:
        if changes.events:
            doom.pass_by()
        commit(self, changes, anchor)

    SqliteStore.commit = doomed  # type: ignore[method-assign]


def within_commit(doom: Doom) -> None:
    """A block is inserted, the transaction is open. Where that is a single statement only a trigger sees it."""
    open_store = SqliteStore.open

    def watched(self: SqliteStore) -> Header:
        header = open_store(self)
        self._database.create_function("pass_by", 0, doom.pass_by)
        self._database.execute("CREATE TEMP TRIGGER watched AFTER INSERT ON blocks BEGIN SELECT pass_by(); END")
        return header

    SqliteStore.open = watched  # type: ignore[method-assign]


def after_commit(doom: Doom) -> None:
    """A turn with changes is committed, and nobody told."""
    commit = SqliteStore.commit

    def doomed(self: SqliteStore, changes: Changes, anchor: Anchor | None = None) -> None:
        commit(self, changes, anchor)
        if changes.events:
            doom.pass_by()

    SqliteStore.commit = doomed  # type: ignore[method-assign]


def after_a_reply(doom: Doom) -> None:
    """A reply is sent; others of the same turn may not be."""
    reply = Commands.reply

    def doomed(self: Commands, frames: list[bytes]) -> bool:
        sent = reply(self, frames)
        doom.pass_by()
        return sent

    Commands.reply = doomed  # type: ignore[method-assign]


def _publish_always() -> None:
    """Events are published also where nobody subscribes to any, and the point would not be passed."""
    Events.is_anything_wanted = True  # type: ignore[assignment,method-assign]


def before_publish(doom: Doom) -> None:
    """The replies of a turn are sent, its events are not."""
    _publish_always()
    publish = Events.publish

    def doomed(self: Events, log_id: str, events: Iterable[Countdown]) -> None:
        if events:
            doom.pass_by()
        publish(self, log_id, events)

    Events.publish = doomed  # type: ignore[method-assign]


def within_publish(doom: Doom) -> None:
    """An event is published; others of the same turn may not be."""
    _publish_always()
    publish = Events.publish

    def doomed(self: Events, log_id: str, events: Iterable[Countdown]) -> None:
        for event in events:
            publish(self, log_id, [event])
            doom.pass_by()

    Events.publish = doomed  # type: ignore[method-assign]


def within_load(doom: Doom) -> None:
    """Some of the log is read at the start, and nobody is served yet."""
    load = SqliteStore.load

    def doomed(self: SqliteStore) -> Iterator[Entry]:
        for entry in load(self):
            doom.pass_by()
            yield entry

    SqliteStore.load = doomed  # type: ignore[method-assign]


POINTS: dict[str, Callable[[Doom], None]] = {
    point.__name__: point
    for point in (
        before_commit,
        within_commit,
        after_commit,
        after_a_reply,
        before_publish,
        within_publish,
        within_load,
    )
}


def await_doom() -> None:
    """Has this process end at the point that was chosen, if one was."""
    if os.environ.get("DOOM_PIPELINED"):
        put_turns_in_flight()
    if point := os.environ.get("DOOM_POINT"):
        POINTS[point](Doom(int(os.environ["DOOM_COUNT"])))


if __name__ == "__main__":
    if clocked_server.CLOCK_FILE in os.environ:
        clocked_server.take_the_place_of_the_machine()
    await_doom()
    sys.exit(main())
