"""What the tables in PostgreSQL hold of all logs, beside what servers have told of them."""

from collections.abc import Iterator
from contextlib import closing

from campaigns.facts import Facts, Position, position
from timer_server.core.model import Countdown, Referring
from timer_server.store.blocks import entries_of
from timer_server.store.postgres.database import Database
from timer_server.store.postgres.statements import SHARDS
from timer_server.store.postgres.store import number_of, stored_blocks
from timer_server.store.postgres.url import parse

What = tuple[str, str, int]
"""An event of a log: its kind, and the timer's id and version."""


class StoredLog:
    """All events of timers that the tables hold. No server has to run."""

    def __init__(self, url: str) -> None:
        self._events = dict(stored_events(url))

    def lost(self, facts: Facts) -> list[str]:
        """What clients were told of timers, in replies and as events, and the tables do not hold."""
        stored = {(timer_id, version) for _, timer_id, version in self._events.values()}
        told = {(one.timer.id, one.timer.version) for one in facts.tries if one.timer is not None}
        told |= {(heard.event.timer.id, heard.event.timer.version) for heard in facts.heard}
        return [
            f"what_is_told_is_in_the_tables: timer {timer_id} version {version} was told; expected it in the tables"
            for timer_id, version in sorted(told - stored)
        ]

    def differences(self, facts: Facts) -> list[str]:
        """Where the tables hold other events than servers have told in the end, of timers that are recorded."""
        stored = {place: what for place, what in self._events.items() if what[1].startswith(facts.own_prefix)}
        told = {position(event): (str(event.kind), event.timer.id, event.timer.version) for event in facts.log}
        return [
            f"tables_and_log_agree: {place[0]} seq {place[1]} is {stored.get(place)} in the tables; "
            f"servers tell {told.get(place)}"
            for place in sorted(stored.keys() | told.keys())
            if stored.get(place) != told.get(place)
        ]


def stored_events(url: str) -> Iterator[tuple[Position, What]]:
    """All events of timers that the tables hold, log by log."""
    with closing(Database(parse(url), "none")) as database:
        database.open(None, lambda: "none")
        for row in database.ask(SHARDS).rows:
            number, log_id = number_of(row[0]), row[1].decode()
            for block in stored_blocks(database, number):
                for entry in entries_of(block):
                    if isinstance(entry, Countdown | Referring):
                        yield (log_id, entry.seq), (str(entry.kind), entry.id, entry.version)
