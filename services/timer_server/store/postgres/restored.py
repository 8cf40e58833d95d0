"""A restored database: every log in it goes on under a new id, so that watchers notice what it does not hold."""

from collections import deque
from collections.abc import Callable

from timer_server.store.base import Header, StoreError
from timer_server.store.blocks import entries_of
from timer_server.store.integrity import verify_complete
from timer_server.store.postgres.arrays import bytea_array, int4_array, int8_array, text_array
from timer_server.store.postgres.database import WRITE_SILENCE_MS, Database
from timer_server.store.postgres.statements import LIVING_BEATS, PAUSE, RENAME, SHARDS
from timer_server.store.postgres.store import epoch_and_state, number_of, stored_blocks
from timer_server.store.state import state_to_row


def restored(database: Database, new_log_id: Callable[[], str]) -> list[tuple[Header, Header]]:
    """Opens a database and gives every log in it a new id; returns the headers of each before and after.

    A database that is damaged, or has a server on it, is left as it is. Raises `StoreError`.
    """
    database.open(None, new_log_id)
    if _is_served(database):
        raise StoreError(f"cannot write {database.url.shown}: timer-servers have it open; end them first")
    states = []
    for number, row in enumerate(database.ask(SHARDS).rows):
        with database.explained(number):
            state = epoch_and_state(row)[1]
            blocks = map(entries_of, stored_blocks(database, number))
            deque(verify_complete(blocks, state.held, state.ends), maxlen=0)
        states.append(state)
    if not any(state.commits for state in states):
        raise StoreError(f"{database.url.shown} holds nothing that could have been restored")
    renamed = [state.renamed(new_log_id()) for state in states]
    rows = [state_to_row(state) for state in renamed]
    ids, bodies, checksums = [state.log_id for state in renamed], [row[0] for row in rows], [row[1] for row in rows]
    values = [int4_array(range(len(renamed))), text_array(ids), bytea_array(bodies), int8_array(checksums)]
    database.write(RENAME, values)
    return [(before.header(), after.header()) for before, after in zip(states, renamed, strict=True)]


def _is_served(database: Database) -> bool:
    """Whether a server has its beat there."""
    before = database.ask(LIVING_BEATS).rows
    if number_of(before[0][0]) == 0:
        return False
    database.ask(PAUSE, silence_ms=WRITE_SILENCE_MS)
    return database.ask(LIVING_BEATS).rows != before
