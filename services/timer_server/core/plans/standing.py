"""What the log holds of a plan: what was asked for, written once, and how far it has come, written at each change."""

from collections.abc import Callable
from enum import IntEnum

from msgspec import Struct, msgpack

from timer_protocol.plan_messages import Missed, Overlap, SkipReason
from timer_server.core.plans.rules import Bounds, CivilTime, Cron, Moments, Position, Rule, Steps


class State(IntEnum):
    """`ACTIVE` goes on; `PAUSED` waits to be resumed; `FINISHED` has no moment left."""

    ACTIVE = 0
    PAUSED = 1
    FINISHED = 2


class Settings(Struct, frozen=True, array_like=True):
    """What a put asks for. New members go to the end and get a default."""

    version: int
    rule: Rule
    from_ms: int | None
    until_ms: int | None
    count: int | None
    missed: Missed
    missed_window_ms: int
    overlap: Overlap
    label: str
    payload: bytes

    @property
    def has_steps(self) -> bool:
        """Whether its timers follow one another."""
        return isinstance(self.rule, Steps)

    @property
    def is_by_wall(self) -> bool:
        """Whether its moments are those of the wall clock, and not of the timeline."""
        return isinstance(self.rule, Cron)

    @property
    def skips_overlap(self) -> bool:
        """Whether moments are skipped that pass while a timer is waited for."""
        return self.overlap == "skip" and not self.has_steps

    def moments(self, civil: CivilTime) -> Moments:
        """The moments of its rule."""
        return Moments(self.rule, Bounds(self.from_ms, self.until_ms, self.count), civil)


class Row(Struct, frozen=True, array_like=True, gc=False):
    """Moments in a row that were skipped, and why."""

    first_ms: int
    last_ms: int
    count: int
    reason: SkipReason


class Standing(Struct, frozen=True, array_like=True, gc=False):
    """How far a plan has come. New members go to the end and get a default.

    `at` is the moment of the occurrence that was started last. Its timer is pending where `pending_ms` is there: that
    is the moment in its id. `is_displaced` says that this timer was paused, extended or restarted, so that it does not
    end at that moment. The moments up to `kept_until_ms` are caught up, one after the other. `waiting` runs wait for
    room. `keys` are digests (see `core.keys`). `row` are the moments that were skipped last. `overtaken` timers were
    pending when the next one was started beside them; how they ended is not counted.
    """

    state: State
    at: Position
    pending_ms: int | None = None
    is_displaced: bool = False
    kept_until_ms: int = 0
    fired: int = 0
    cancelled: int = 0
    skipped: int = 0
    missed: int = 0
    waiting: int = 0
    keys: bytes = b""
    row: Row | None = None
    overtaken: int = 0

    @property
    def is_paused(self) -> bool:
        """Whether it waits to be resumed."""
        return self.state is State.PAUSED

    @property
    def is_behind(self) -> bool:
        """Whether its next occurrence has yet to be started."""
        return self.state is State.ACTIVE and self.pending_ms is None


class Plan(Struct, gc=False):
    """A plan in memory: its settings as the log has them, and the places of its entries there; 0 is none yet."""

    id: str
    record: bytes
    settings_place: int
    standing: Standing
    standing_place: int = 0

    @property
    def settings(self) -> Settings:
        """What was asked for."""
        return decode_settings(self.record)


encode: Callable[[Settings | Standing], bytes] = msgpack.Encoder().encode
"""The body of an entry."""

decode_settings = msgpack.Decoder(Settings).decode
"""The settings in a body. Raises `msgspec.ValidationError` and `msgspec.DecodeError` for other bytes."""

decode_standing = msgpack.Decoder(Standing).decode
"""The standing in a body. Raises the same."""
