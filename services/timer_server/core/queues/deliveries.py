"""A delivery: an end that was handed out before, or is given up. What it is now says where it is held."""

from msgspec import Struct

RAN_OUT = "the lease ran out"
EXPIRED = "expired"


class Delivery(Struct, frozen=True, gc=False, array_like=True):
    """An end with its latest lease. Immutable: what happens to it makes a new one.

    `number` is that of the latest lease; a dead letter that never had one gets a number as well. `is_open` says whether
    the receipt of that lease may still settle it: until somebody has done so, or the end is leased anew.
    `kept_since_ms` is when it ended, or was revived. `at_ms` is, for a leased one, until when; for a delayed one, when
    it is ready, and 0 for one that is; for a dead one, when it died. `is_recent` is true until the first start of the
    server after it was leased or renewed.
    """

    place: int
    ended_at_ms: int
    payload_bytes: int
    number: int
    attempts: int
    is_open: bool
    kept_since_ms: int
    reason: str | None
    at_ms: int
    lease_ms: int
    is_recent: bool

    def leased(self, number: int, until_ms: int, lease_ms: int) -> "Delivery":
        """It is handed out once more."""
        return Delivery(
            self.place,
            self.ended_at_ms,
            self.payload_bytes,
            number,
            self.attempts + 1,
            True,
            self.kept_since_ms,
            self.reason,
            until_ms,
            lease_ms,
            True,
        )
