"""`python -m campaigns.hasty_webhooks`: the sender of webhooks, whose schedule takes tenths of seconds and not days.

A lease may be as short. `EXCHANGE_S` is how long an exchange may take; `SABOTAGE` names a fault that is planted.
"""

import os
import random
from collections.abc import Callable

from timer_client.async_work import AsyncHeldDelivery
from timer_protocol.messages import Timer
from timer_webhooks import exchange, fitness, schedule, sender, signing
from timer_webhooks.__main__ import main
from timer_webhooks.exchange import Answer
from timer_webhooks.sender import Sender
from timer_webhooks.webhook import Webhook, webhook_of

DELAYS_S = (0.1, 0.2, 0.4)
EXCHANGE_S = "0.8"
LEASE_MS = 1_500


def changes_ids() -> None:
    """Each attempt has an id of its own."""

    def changed(timer: Timer) -> Webhook:
        webhook = webhook_of(timer)
        return Webhook(f"{webhook.id}{random.randrange(10**9)}", webhook.body)  # noqa: S311

    sender.webhook_of = changed  # type: ignore[attr-defined]


def acknowledges_first() -> None:
    """An end is acknowledged before the attempt is made."""
    send = Sender._send

    async def acknowledge_and_send(self: Sender, delivery: AsyncHeldDelivery) -> None:
        await delivery.ack()
        await send(self, delivery)

    Sender._send = acknowledge_and_send  # type: ignore[method-assign]


def believes_redirects() -> None:
    """What is redirected counts as delivered."""
    Answer.is_delivered = property(lambda self: self.outcome in {"delivered", "redirect"})  # type: ignore[assignment]


def signs_with_nothing() -> None:
    """The key is empty."""
    hmac = signing.hmac.digest
    signing.hmac.digest = lambda _, content, kind: hmac(b"", content, kind)  # type: ignore[attr-defined]


SABOTAGES: dict[str, Callable[[], None]] = {
    sabotage.__name__: sabotage
    for sabotage in (changes_ids, acknowledges_first, believes_redirects, signs_with_nothing)
}


def hasten() -> None:
    """Shortens all that takes long."""
    schedule.DELAYS_S = DELAYS_S  # type: ignore[assignment]
    exchange.EXCHANGE_S = float(os.environ.get("EXCHANGE_S", EXCHANGE_S))
    fitness.LEASE_LEAST_MS = LEASE_MS
    sender.AGAIN_S = sender.LOOK_S = 0.5


if __name__ == "__main__":
    hasten()
    if sabotage := os.environ.get("SABOTAGE"):
        SABOTAGES[sabotage]()
    main()
