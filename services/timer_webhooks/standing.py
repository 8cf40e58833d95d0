"""How an endpoint stands: since when it fails, and when it is sent nothing more. Pure."""

from msgspec import Struct
from msgspec.structs import replace

from timer_webhooks.exchange import Answer

GIVEN_UP_AFTER_MS = 5 * 86_400_000
"""How long an endpoint may fail, without a single success, before it is disabled."""


class Standing(Struct, frozen=True):
    """How an endpoint stands, by the wall clock."""

    failing_since_ms: int | None = None
    disabled_at_ms: int | None = None
    disabled_reason: str = ""

    @property
    def is_disabled(self) -> bool:
        """Whether it is sent nothing."""
        return self.disabled_at_ms is not None

    def after(self, answer: Answer, now_ms: int) -> "Standing":
        """How it stands after an attempt. What is disabled stays so, whatever attempts under way have come to."""
        if self.is_disabled:
            return self
        if answer.is_delivered:
            return Standing()
        since_ms = now_ms if self.failing_since_ms is None else self.failing_since_ms
        if answer.outcome == "gone":
            return Standing(since_ms, now_ms, "it answered 410: it is gone for good")
        if now_ms - since_ms >= GIVEN_UP_AFTER_MS:
            return Standing(since_ms, now_ms, f"every attempt of five days failed; the last: {answer.reason}")
        return replace(self, failing_since_ms=since_ms)
