"""`python -m campaigns.sabotaged_plans`: the server with a fault planted in its plans, which the judge has to find.

`SABOTAGE` names the fault. It goes by the clocks that a campaign sets, and dies where `DOOM_POINT` says.
"""

import os
import sys
from collections.abc import Callable
from typing import Any

from campaigns import clocked_server, doomed_server
from timer_protocol.durations import NS_PER_MS
from timer_server.__main__ import main
from timer_server.core.model import Countdown
from timer_server.core.plans import chain, plans
from timer_server.core.plans.chain import Chain
from timer_server.core.plans.plans import Plans
from timer_server.core.plans.standing import Plan, Settings, Standing

LATER_NS = 20 * NS_PER_MS


def starts_the_next_later() -> None:
    """The next occurrence is started in a commit of its own, after the one in which the one before ends."""
    has_ended, go_on, step = Chain.has_ended, Chain.go_on, Plans.step
    not_before_ns = 0

    def fall_behind(self: Chain, plan: Plan, _: Settings, standing: Standing, now_ns: int) -> int:
        nonlocal not_before_ns
        not_before_ns = now_ns + LATER_NS
        self._fall_behind(plan, standing, None, now_ns)
        return 0

    def step_later(self: Plans, now_ns: int, budget: int) -> None:
        if now_ns >= not_before_ns:
            step(self, now_ns, budget)

    def ended(self: Chain, plan: Plan, timer: Countdown, now_ns: int) -> int:
        Chain.go_on = fall_behind  # type: ignore[method-assign]
        try:
            return has_ended(self, plan, timer, now_ns)
        finally:
            Chain.go_on = go_on  # type: ignore[method-assign]

    Chain.has_ended = ended  # type: ignore[method-assign]
    Plans.step = step_later  # type: ignore[method-assign]


def forgets_keys() -> None:
    """A run or a skip that is repeated is done again."""
    plans.knows = lambda *_: False


def forgets_count() -> None:
    """Plans go on for ever."""
    chain.is_counted_out = lambda *_: False


def skips_in_silence() -> None:
    """Moments that have passed are neither told nor counted."""
    start = Chain.start

    def start_silently(self: Chain, *args: Any) -> None:
        start(self, *args[:5])

    Chain.start = start_silently  # type: ignore[method-assign]


SABOTAGES: dict[str, Callable[[], None]] = {
    sabotage.__name__: sabotage for sabotage in (starts_the_next_later, forgets_keys, forgets_count, skips_in_silence)
}

if __name__ == "__main__":
    SABOTAGES[os.environ["SABOTAGE"]]()
    clocked_server.take_the_place_of_the_machine()
    doomed_server.await_doom()
    sys.exit(main())
