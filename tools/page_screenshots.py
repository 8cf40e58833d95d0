"""Draws the page for the documentation: in docs/screenshots, at the widths of a phone, a tablet and a desk.

python tools/page_screenshots.py
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

from playwright.sync_api import Browser, Page

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / each) for each in ("services", "tools", "tests")]

from fake_time import NS_PER_S, FakeTime  # noqa: E402 - the tests' folder is in the path now
from local_server import LocalServer  # noqa: E402
from page.browsing import Visitor, browser, call  # noqa: E402
from page.serving import PageGateway  # noqa: E402

FOLDER = ROOT / "docs" / "screenshots"
SIZES = {"phone": (390, 844), "tablet": (820, 1180), "desktop": (1280, 860)}
SCHEMES = ("light", "dark")
VIEWS = ("timers", "stage", "plans", "queues")
HOUR_S = 3600


class Shown(NamedTuple):
    """A timer, its whole length, and what is left of it."""

    id: str
    label: str
    whole_s: float
    rest_s: float

    @property
    def age_s(self) -> float:
        return self.whole_s - self.rest_s


TIMERS = (
    Shown("build/nightly", "Nightly build", 300, 42),
    Shown("kitchen/tea", "Green tea", 240, 171),
    Shown("standup", "Stand-up", 900, 527),
    Shown("focus/1", "Deep work", 1500, 1136),
    Shown("kitchen/bread", "Sourdough, second rise", 5400, 4103),
    Shown("order/4711", "", 2 * 24 * HOUR_S, 107_263),
)


def main() -> None:
    """Draws what the documentation shows."""
    with browser() as running:
        draw_all(running, FOLDER, documented)


def documented(size: str, scheme: str) -> Sequence[str]:
    """The views that the documentation shows at a size, in a scheme of colours."""
    if size == "tablet":
        return ("timers",)
    return VIEWS if (size, scheme) == ("desktop", "light") else ("timers", "stage")


def draw_all(
    running: Browser,
    folder: Path,
    views_of: Callable[[str, str], Sequence[str]],
    look: Callable[[Page, str], None] = lambda _page, _name: None,
) -> None:
    """Draws views at each size and in each scheme of colours into a folder. `look` sees each, by the picture's name."""
    folder.mkdir(parents=True, exist_ok=True)
    for size, scheme in product(SIZES, SCHEMES):
        with furnished() as (url, time), visited(running, size, scheme, url, time) as page:  # anew, as timers run
            for view in views_of(size, scheme):
                name = f"{view}-{size}-{scheme}"
                GO_TO[view](page)
                page.screenshot(path=folder / f"{name}.png")
                look(page, name)


@contextmanager
def visited(running: Browser, size: str, scheme: str, url: str, time: FakeTime) -> Iterator[Page]:
    """The page as somebody sees it at a size, in a scheme of colours."""
    width, height = SIZES[size]
    options: dict[str, Any] = {"viewport": {"width": width, "height": height}, "color_scheme": scheme}
    visitor = Visitor(running, **options)
    visitor.context.clock.set_system_time(datetime.fromtimestamp(time.wall_ns() / NS_PER_S, UTC))
    yield visitor.open(url)
    visitor.close()


def go_to_timers(page: Page) -> None:
    page.wait_for_selector("[data-timer=laundry] .note")


def go_to_stage(page: Page) -> None:
    page.evaluate("location.hash = '#/timer/kitchen/tea'")
    page.wait_for_selector("timer-stage")


def go_to_plans(page: Page) -> None:
    page.evaluate("location.hash = '#/plans'")
    page.wait_for_selector(".records li")


def go_to_queues(page: Page) -> None:
    page.evaluate("location.hash = '#/queues'")
    page.get_by_role("button", name="Dead letters of mail").click()
    page.wait_for_selector(".records .ended li")


GO_TO = {"timers": go_to_timers, "stage": go_to_stage, "plans": go_to_plans, "queues": go_to_queues}


@contextmanager
def furnished() -> Iterator[tuple[str, FakeTime]]:
    """The page of a service in which something is going on, and its clocks."""
    time = FakeTime()
    clock = lambda: time.boot_ns() / NS_PER_S  # noqa: E731
    with LocalServer(time.sources()) as server, PageGateway(server.commands, clock=clock) as gateway:
        url = gateway.url
        by_age = sorted(TIMERS, key=lambda timer: timer.whole_s - timer.rest_s, reverse=True)
        for timer, next_one in zip(by_age, [*by_age[1:], None], strict=True):
            call(url, "timer.start", id=timer.id, label=timer.label, seconds=timer.whole_s)
            time.pass_s(timer.age_s - (next_one.age_s if next_one else 0))
        call(url, "timer.start", id="laundry", label="Laundry", minutes=50)
        call(url, "timer.pause", id="laundry")
        for name, label in (("eggs", "Eggs"), ("call/anna", "Call Anna back")):
            call(url, "timer.start", id=name, label=label, seconds=0.05)
            call(url, "timer.wait", id=name, wait_ms=5000)
        call(url, "timer.start", id="parking", label="Parking", minutes=50)
        call(url, "timer.cancel", id="parking")
        call(url, "plan.put", plan="standup", cron="0 9 * * 1-5", zone="Europe/Rome", label="Stand-up")
        steps = [{"minutes": 25, "label": "work"}, {"minutes": 5, "label": "rest"}]
        call(url, "plan.put", plan="pomodoro", steps=steps, count=4)
        call(url, "queue.put", queue="mail", prefix="mail/", max_deliveries=1)
        call(url, "queue.put", queue="webhooks/shop", prefix="order/")
        for number in range(4):
            call(url, "timer.start", id=f"mail/{number}", label=f"Reminder {number}", seconds=0.05)
        (letter, *_) = call(url, "queue.take", queue="mail", max=1, wait_ms=5000)["deliveries"]
        call(url, "queue.nack", queue="mail", receipts=[letter["receipt"]], reason="mailbox is full")
        yield url, time


if __name__ == "__main__":
    main()
