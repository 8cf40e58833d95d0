"""`python -m campaigns.sabotaged_backups`: a server with a fault planted in its backups, which `SABOTAGE` names."""

import os
import sys
from collections.abc import Callable

from msgspec.structs import replace

from timer_server.__main__ import main
from timer_server.core.ledger import LogEnds
from timer_server.store.blocks import Row
from timer_server.store.sqlite.copying import Copy
from timer_server.store.sqlite.store import SqliteStore
from timer_server.store.state import HeaderRow

LEFT_OUT = 20
"""Blocks: more than are committed while a client waits for the answer to one request."""


def keeps_nothing() -> None:
    """What is removed before a copy has read it is not in the copy."""

    def keep(self: Copy, row: Row) -> None:
        """Lets it go."""

    Copy.keep = keep  # type: ignore[method-assign]


def leaves_the_last_out() -> None:
    """A copy ends before what was acknowledged last, as if that had not been committed."""
    begin = SqliteStore.begin_copy

    def begin_earlier(self: SqliteStore) -> HeaderRow:
        state = self._state
        blocks = [block.entries for block in self.blocks_after(state.ends.horizon)]
        if len(blocks) > LEFT_OUT:
            last, ends = blocks[-LEFT_OUT - 1][-1], state.ends
            earlier = LogEnds(ends.horizon, ends.horizon_seq, last.place, last.seq)
            self._state = replace(state, held=state.held - sum(map(len, blocks[-LEFT_OUT:])), ends=earlier)
        header = begin(self)
        self._state = state
        return header

    SqliteStore.begin_copy = begin_earlier  # type: ignore[method-assign]


SABOTAGES: dict[str, Callable[[], None]] = {
    sabotage.__name__: sabotage for sabotage in (keeps_nothing, leaves_the_last_out)
}

if __name__ == "__main__":
    SABOTAGES[os.environ["SABOTAGE"]]()
    sys.exit(main())
