"""The header of a log: what should be in it, and the anchor.

A commit writes it, or leaves it to the blocks behind it to tell what was appended since.
"""

from collections.abc import Iterable

import msgspec
from msgspec.structs import replace

from timer_server.core.ledger import Changes, LogEnds
from timer_server.store.base import Anchor, Header, Notice
from timer_server.store.blocks import Row, count_in, entries_of
from timer_server.store.integrity import Damage, checksum_of, is_sound

HeaderRow = tuple[bytes, int]
"""The state of a log as it is stored: its body, and the checksum of that."""


class LogState(msgspec.Struct, frozen=True, array_like=True):
    """What a log holds after its last commit.

    `log_id` is random and tells it from other logs, `commits` counts its commits, `held` the entries in it.
    `ancestors` are the logs it was copied from, each with the `seq` at the copy.

    In SQLite a commit that only appends counts once for each of its blocks, so that these tell how many there were.
    """

    log_id: str
    commits: int = 0
    held: int = 0
    ends: LogEnds = LogEnds()
    last_at_ms: int = 0
    anchor: Anchor | None = None
    ancestors: dict[str, int] = {}

    def after(self, changes: Changes, removed: int, anchor: Anchor | None, commits: int = 1) -> "LogState":
        """The state after one more commit, which has removed `removed` entries. It may count as several."""
        last = changes.entries[-1] if changes.entries else None
        return LogState(
            self.log_id,
            self.commits + commits,
            self.held + len(changes.entries) - removed,
            LogEnds(
                changes.horizon,
                changes.horizon_seq,
                last.place if last else self.ends.last_place,
                last.seq if last else self.ends.last_seq,
            ),
            last.at_ms if last else self.last_at_ms,
            anchor or self.anchor,
            self.ancestors,
        )

    def followed_by(self, blocks: Iterable[Row]) -> "LogState":
        """The state after commits that have only appended these blocks, which begin after its last place.

        Raises `Damage` where a block is not what was written.
        """
        commits, held, last = self.commits, self.held, None
        for last in blocks:
            commits += 1
            held += count_in(last)
        if last is None:
            return self
        ends = replace(self.ends, last_place=last[0], last_seq=last[1])
        return replace(self, commits=commits, held=held, ends=ends, last_at_ms=entries_of(last)[-1].at_ms)

    def renamed(self, log_id: str) -> "LogState":
        """The state of a copy of this log that goes on under its own id."""
        ancestors = {**self.ancestors, self.log_id: self.ends.last_seq}
        return replace(self, log_id=log_id, commits=self.commits + 1, ancestors=ancestors)

    def header(self, *notices: Notice) -> Header:
        """The state as the store's header."""
        return Header(self.log_id, self.ends, self.last_at_ms, self.anchor, self.ancestors, notices)


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(LogState).decode


def state_to_row(state: LogState) -> HeaderRow:
    """The row for a state."""
    body = _encode(state)
    return body, checksum_of(body)


def row_to_state(row: HeaderRow | None) -> LogState:
    """The state in a row. Raises `Damage`."""
    if row is None:
        raise Damage("its header is missing")
    if not is_sound(*row):
        raise Damage("its header does not match its checksum")
    try:
        return _decode(row[0])
    except (msgspec.MsgspecError, ValueError) as error:
        raise Damage(f"its header cannot be decoded: {error}") from None
