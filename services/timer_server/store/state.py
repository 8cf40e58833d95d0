"""The one row beside the events: what should be in the log, and the anchor. Every commit writes it."""

import msgspec

from timer_server.core.ledger import Changes
from timer_server.store.base import Anchor
from timer_server.store.integrity import Damage, is_sound, sealed


class LogState(msgspec.Struct, frozen=True, array_like=True):
    """What a log holds after its last commit.

    `log_id` is random and tells it from other logs, `commits` counts what was done to it, `held` the events in it.
    """

    log_id: bytes
    commits: int = 0
    held: int = 0
    horizon: int = 0
    last_seq: int = 0
    last_at_ms: int = 0
    anchor: Anchor | None = None

    def after(self, changes: Changes, removed: int, anchor: Anchor | None) -> "LogState":
        """The state after one more commit, which has removed so many events."""
        last = changes.events[-1] if changes.events else None
        return LogState(
            self.log_id,
            self.commits + 1,
            self.held + len(changes.events) - removed,
            changes.horizon,
            last.seq if last else self.last_seq,
            last.at_ms if last else self.last_at_ms,
            anchor or self.anchor,
        )


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(LogState).decode


def state_to_row(state: LogState) -> tuple[bytes, int]:
    """The row that a state is stored as: its body and the checksum of that."""
    return sealed(_encode(state))


def row_to_state(row: tuple[bytes, int] | None) -> LogState:
    """The state that was stored. Raises `Damage`."""
    if row is None:
        raise Damage("its header is missing")
    if not is_sound(*row):
        raise Damage("its header does not match its checksum")
    try:
        return _decode(row[0])
    except (msgspec.MsgspecError, ValueError) as error:
        raise Damage(f"its header cannot be decoded: {error}") from None
