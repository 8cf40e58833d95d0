"""What holds of webhooks, whatever happens to endpoint and sender: the invariants, and the judge that asks them all.

They read nothing but what the endpoint was asked, in which mood, and how the queue stands in the end.
"""

import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from standardwebhooks import Webhook

from campaigns.checker import Violation
from drivers.webhook_receiver import Received

DELIVERING = "ok"
"""The mood in which the endpoint answers 2xx."""

TOLERANCE_S = 30
"""How far the timestamp of an attempt may be from when it was read, on a machine with much else to do."""


@dataclass(frozen=True)
class Attempt:
    """A request, as far as it can be read."""

    webhook_id: str
    body: dict[str, Any]
    received: Received

    @property
    def timer_id(self) -> str:
        """The timer whose end it tells."""
        return str(self.body.get("data", {}).get("id"))


@dataclass(frozen=True)
class Facts:
    """All that is known."""

    timer_ids: Sequence[str]
    """The timers that were started, each of which fires once."""

    secret: str
    attempts: Sequence[Attempt]
    strayed: int
    """Requests that went where the endpoint has redirected them."""

    queue: dict[str, Any]

    @classmethod
    def of(
        cls, timer_ids: Sequence[str], secret: str, received: Sequence[Received], strayed: int, queue: dict[str, Any]
    ) -> "Facts":
        """The facts in what an endpoint was asked."""
        attempts = [Attempt(one.headers.get("webhook-id", ""), json.loads(one.body), one) for one in received]
        return cls(timer_ids, secret, attempts, strayed, queue)


Invariant = Callable[[Facts], Iterator[str]]


def every_end_is_delivered(facts: Facts) -> Iterator[str]:
    """Each is answered 2xx once at least."""
    delivered = {attempt.timer_id for attempt in facts.attempts if attempt.received.mood == DELIVERING}
    tried = {attempt.timer_id for attempt in facts.attempts}
    for timer_id in facts.timer_ids:
        if timer_id not in delivered:
            yield f"the end of {timer_id} was {'never answered 2xx' if timer_id in tried else 'never sent'}"


def the_id_stays_the_same(facts: Facts) -> Iterator[str]:
    """All attempts of an end have one id, and no other end has it."""
    ids: dict[str, set[str]] = defaultdict(set)
    timers: dict[str, set[str]] = defaultdict(set)
    for attempt in facts.attempts:
        ids[attempt.timer_id].add(attempt.webhook_id)
        timers[attempt.webhook_id].add(attempt.timer_id)
    yield from (f"the end of {timer_id} came under {len(own)} ids" for timer_id, own in ids.items() if len(own) > 1)
    yield from (f"ends of {len(its)} timers came under one id" for its in timers.values() if len(its) > 1)


def none_comes_from_nowhere(facts: Facts) -> Iterator[str]:
    """Each attempt tells the end of a timer that was started, and all of one end tell the same."""
    started, bodies = set(facts.timer_ids), dict[str, bytes]()
    for attempt in facts.attempts:
        timer_id, data = attempt.timer_id, attempt.body.get("data", {})
        if timer_id not in started or attempt.body.get("type") != "timer.fired" or data.get("state") != "fired":
            yield f"an attempt tells an end of {timer_id} that never was"
        if bodies.setdefault(timer_id, attempt.received.body) != attempt.received.body:
            yield f"the end of {timer_id} was told differently"
        if data.get("ended_at_ms", 0) > attempt.received.at_ms + 1:
            yield f"the end of {timer_id} was told before it was"


def every_attempt_is_signed(facts: Facts) -> Iterator[str]:
    """Each has a signature that another implementation makes too, of the moment at which it was sent."""
    signing = Webhook(facts.secret)
    for attempt in facts.attempts:
        headers, body = attempt.received.headers, attempt.received.body.decode()
        sent_s = int(headers.get("webhook-timestamp", 0))
        signature = signing.sign(attempt.webhook_id, datetime.fromtimestamp(sent_s, UTC), body)
        if signature not in headers.get("webhook-signature", "").split(" "):
            yield f"an attempt of {attempt.timer_id} has a wrong signature"
        if abs(attempt.received.at_ms / 1000 - sent_s) > TOLERANCE_S:
            yield f"an attempt of {attempt.timer_id} has the timestamp of another moment"


def nothing_strays(facts: Facts) -> Iterator[str]:
    """No redirect is followed."""
    if facts.strayed:
        yield f"{facts.strayed} requests went where a redirect pointed"


def nothing_is_left(facts: Facts) -> Iterator[str]:
    """In the end the queue holds nothing, and has given nothing up."""
    for state in ("ready", "leased", "delayed", "dead", "dropped"):
        if facts.queue[state]:
            yield f"{facts.queue[state]} ends are {state}"


INVARIANTS: tuple[Invariant, ...] = (
    every_end_is_delivered,
    the_id_stays_the_same,
    none_comes_from_nowhere,
    every_attempt_is_signed,
    nothing_strays,
    nothing_is_left,
)


def judge_webhooks(facts: Facts) -> list[Violation]:
    """All violations there are, invariant by invariant."""
    return [Violation(invariant.__name__, sentence) for invariant in INVARIANTS for sentence in invariant(facts)]
