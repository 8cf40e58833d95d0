"""Short ways to make what tests of the core are about."""

from typing import Any

from msgspec import Raw

from timer_protocol.limits import Limits
from timer_protocol.messages import EventKind, GetParams, StartParams
from timer_server.core.engine import Engine, TimerParams
from timer_server.core.ledger import Recall
from timer_server.core.model import NUMBER_OF, Timer
from timer_server.store.memory import MemoryStore

NS_PER_MS = 1_000_000
NS_PER_S = 1_000_000_000
BEGIN_NS = 1_700_000_000_000 * NS_PER_MS


def make_timer(timer_id: str = "a", kind: EventKind = "started", **changed: Any) -> Timer:
    """A timer of one minute that has just been started; what is given replaces its fields."""
    fields: dict[str, Any] = {
        "due_at_ms": 1_700_000_060_000,
        "seq": 1,
        "kind_number": NUMBER_OF[kind],
        "started_at_ms": 1_700_000_000_000,
        "elapsed_ms": 0,
        "id": timer_id,
        "label": "",
        "hours": 0,
        "minutes": 1,
        "seconds": 0,
        "duration_ms": 60_000,
        "remaining_ms": 0,
        "version": 1,
        "keys": None,
        "payload": b"null",
    }
    return Timer(**{**fields, **changed})


class Bench:
    """An engine with a store in memory: requests see ended timers as they would in the server."""

    def __init__(self, **limits: int) -> None:
        self.limits = Limits(**limits)
        self.made = 0
        self.store = MemoryStore()
        self.store.open()
        self.engine = Engine(self.limits, self._new_id)

    def ask(self, params: TimerParams, now_ns: int = BEGIN_NS) -> Timer:
        """The timer after a request. Raises `Refusal`."""
        answer = self.engine.handle(params, now_ns)
        if isinstance(answer, Recall):
            answer = self.engine.handle(params, now_ns, self.store.read_timer(answer.seq))
        assert isinstance(answer, Timer)
        return answer

    def start(
        self, timer_id: str | None = "a", now_ns: int = BEGIN_NS, payload: bytes = b"null", **asked: Any
    ) -> Timer:
        """Starts a timer, of one minute unless something else is asked."""
        if not asked.keys() & {"hours", "minutes", "seconds"}:
            asked["minutes"] = 1
        return self.ask(StartParams(timer_id, payload=Raw(payload), **asked), now_ns)

    def get(self, timer_id: str = "a", now_ns: int = BEGIN_NS) -> Timer:
        return self.ask(GetParams(timer_id), now_ns)

    def commit(self) -> list[str]:
        """Stores what has happened, and returns the kinds of the events."""
        changes = self.engine.take_changes()
        self.store.commit(changes)
        return [event.kind for event in changes.events]

    def forget(self, now_ns: int) -> None:
        """All of retention that there is to do."""
        self.commit()
        while self.engine.has_outlived(now_ns):
            self.engine.forget(self.store.read_events(self.engine.horizon, "", 256, 256).events, now_ns)
            self.commit()

    def _new_id(self, now_ms: int) -> str:
        self.made += 1
        return f"{now_ms}/{self.made}"
