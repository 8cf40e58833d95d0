"""Effects exactly once: the position in the events is kept in the same transaction as what they change.

    python exactly_once.py [--database ends.db] [--prefix order/] [--until-now]

counts how timers have ended, in a database of its own, and prints

    cancelled 1, fired 3

whenever that changes. Kill it when you like: the next run goes on after the last event that is in the database, so none
is missed and none counted twice. A second process on the same database ends at once.
"""

import argparse
import signal
import sqlite3
import sys
from collections import Counter
from contextlib import closing, suppress

from timer_client import Cursor, EventPage, TimerClient

WAIT_MS = 30_000
SCHEMA = """
CREATE TABLE IF NOT EXISTS ends (kind TEXT PRIMARY KEY, number INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS position (cursor TEXT NOT NULL);
INSERT INTO position SELECT 'start' WHERE NOT EXISTS (SELECT * FROM position);
"""


def main() -> None:
    parser = argparse.ArgumentParser(description="Counts how timers have ended.")
    parser.add_argument("--database", default="ends.db")
    parser.add_argument("--prefix", default="", help="of the timers' ids")
    parser.add_argument("--until-now", action="store_true", help="end once all that has happened is counted")
    wanted = parser.parse_args()

    signal.signal(signal.SIGTERM, signal.default_int_handler)
    wait_ms = 0 if wanted.until_now else WAIT_MS
    with closing(sqlite3.connect(wanted.database, timeout=30)) as database, TimerClient() as client:
        database.executescript(SCHEMA)
        (cursor,) = database.execute("SELECT cursor FROM position").fetchone()
        more = True
        with suppress(KeyboardInterrupt):
            while more or not wanted.until_now:
                page = client.read_events(cursor, wanted.prefix, 1000, wait_ms)
                if page.truncated:
                    print("some of the events are gone: the server keeps them for a while only", file=sys.stderr)
                cursor, more = take(database, cursor, page), page.more


def take(database: sqlite3.Connection, before: str, page: EventPage) -> str:
    """Counts the ends in a page, and moves on to its cursor: both or none."""
    after = str(Cursor(page.next))
    ends = Counter(event.kind for event in page.events if event.timer.ended)
    with database:
        moved = database.execute("UPDATE position SET cursor = ? WHERE cursor = ?", (after, before))
        if not moved.rowcount:
            sys.exit("another process counts into the same database")
        count = "INSERT INTO ends VALUES (?, ?) ON CONFLICT (kind) DO UPDATE SET number = number + excluded.number"
        database.executemany(count, ends.items())
    if ends:
        counted = database.execute("SELECT kind, number FROM ends ORDER BY kind")
        print(", ".join(f"{kind} {number}" for kind, number in counted), flush=True)
    return after


if __name__ == "__main__":
    main()
