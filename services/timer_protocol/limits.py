"""Limits that client and server both use. The operator sets those in `Limits`; the constants are fixed."""

from msgspec import Struct

ID_CHARACTERS = 128
LABEL_CHARACTERS = 256
KEY_CHARACTERS = 128
MOMENT_CHARACTERS = 64
ZONE_CHARACTERS = 64
TRACESTATE_CHARACTERS = 512
TRACESTATE_MEMBERS = 32
LOG_ID_CHARACTERS = 11
"""The id of a log: 64 random bits in URL-safe base64 without padding, short since every event has it."""

LOGS_MAXIMUM = 1024
"""Logs that one store can have, and so the positions in a cursor."""

PAYLOAD_DEPTH = 100
"""Objects and arrays within one another in a payload. JSON readers differ in how many they accept; all accept this."""

PAGE_DEFAULT = 100
PAGE_MAXIMUM = 1000
WAIT_MAXIMUM_MS = 3_600_000
"""The longest a request may stay parked. Clients that wait longer ask again."""

REQUEST_ID_CHARACTERS = 256
"""The `id` of a request, which is kept while the request is parked."""

BEAT_INTERVAL_MS = 1000


class Limits(Struct, frozen=True, kw_only=True):
    """The limits an operator sets through `TIMER_MAX_*` and `TIMER_RETENTION_S`; `server.info` tells them."""

    max_timers: int = 1_000_000
    """Pending (running or paused) timers, some 250 bytes of memory each; as many ended ones, at two thirds of that."""
    max_payload_bytes: int = 65_536
    """A payload is for the reader of the end, not for storage: 64 KiB holds any sensible job."""
    max_batch: int = 1000
    """Requests in one message: some milliseconds of the server's time."""
    max_message_bytes: int = 1_048_576
    """A request's body: a full batch of common requests fits several times over."""
    max_duration_s: int = 315_360_000
    """Ten years of 365 days: longer is more likely a wrong unit than a wish."""
    retention_s: int = 86_400
    """How long ended timers and events can be read: a day covers a night's outage of a watcher."""
