"""A commit in a thread of its own, which waits for something."""

import threading

from store.stores import changes, event
from timer_server.store.base import StoreError
from timer_server.store.postgres.store import PostgresStore


def begin_to_commit(store: PostgresStore) -> tuple[list[StoreError], threading.Thread]:
    """Has a thread commit the next event; what that fails with in the end is in the list."""
    failure: list[StoreError] = []

    def commit() -> None:
        try:
            store.commit(changes(event(store.state.ends.last_place + 1)))
        except StoreError as error:
            failure.append(error)

    waiting = threading.Thread(target=commit)
    waiting.start()
    return failure, waiting
