"""Draws the page for the documentation: in docs/screenshots, at the widths of a phone, a tablet and a desk.

python tools/page_screenshots.py
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / each) for each in ("services", "tools", "tests")]

from local_server import LocalServer  # noqa: E402 - the tests' folder is in the path now
from page.browsing import Visitor, browser, call  # noqa: E402
from page.serving import PageGateway  # noqa: E402

FOLDER = ROOT / "docs" / "screenshots"
SIZES = {"phone": (390, 844), "tablet": (820, 1180), "desktop": (1280, 860)}
SCHEMES = ("light", "dark")
HOUR_S = 3600

TIMERS: tuple[tuple[str, str, float, float], ...] = (
    ("build/nightly", "Nightly build", 300, 42),
    ("kitchen/tea", "Green tea", 240, 171),
    ("standup", "Stand-up", 900, 527),
    ("focus/1", "Deep work", 1500, 1136),
    ("kitchen/bread", "Sourdough, second rise", 5400, 4103),
    ("order/4711", "", 2 * 24 * HOUR_S, 107_263),
)
"""The id, label, whole length and rest of each timer, in seconds."""


def main() -> None:
    """Draws each view."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with furnished() as url, browser() as running:
        for size, (width, height) in SIZES.items():
            for scheme in SCHEMES:
                options: dict[str, Any] = {"viewport": {"width": width, "height": height}, "color_scheme": scheme}
                visitor = Visitor(running, reduced_motion="reduce", **options)
                page = visitor.open(url)
                page.wait_for_selector("[data-timer=laundry] .note")
                page.screenshot(path=FOLDER / f"timers-{size}-{scheme}.png")
                if size != "tablet":
                    page.evaluate("location.hash = '#/timer/kitchen/tea'")
                    page.wait_for_selector("timer-stage")
                    page.screenshot(path=FOLDER / f"stage-{size}-{scheme}.png")
                if (size, scheme) == ("desktop", "light"):
                    for name in ("plans", "queues"):
                        page.evaluate(f"location.hash = '#/{name}'")
                        page.wait_for_selector(".records li")
                        page.screenshot(path=FOLDER / f"{name}-{size}-{scheme}.png")
                visitor.close()


@contextmanager
def furnished() -> Iterator[str]:
    """The page of a service in which something is going on."""
    with LocalServer() as server, PageGateway(server.commands) as gateway:
        url = gateway.url
        for id, label, whole_s, rest_s in TIMERS:
            # What is taken away from a timer is no longer part of its length, and so is not drawn as passed.
            call(url, "timer.start", id=id, label=label, seconds=whole_s)
            del rest_s
        call(url, "timer.start", id="laundry", label="Laundry", minutes=50)
        call(url, "timer.pause", id="laundry")
        for id, label in (("eggs", "Eggs"), ("call/anna", "Call Anna back")):
            call(url, "timer.start", id=id, label=label, seconds=0.05)
            call(url, "timer.wait", id=id, wait_ms=5000)
        call(url, "timer.start", id="parking", label="Parking", minutes=50)
        call(url, "timer.cancel", id="parking")
        call(url, "plan.put", plan="standup", cron="0 9 * * 1-5", zone="Europe/Rome", label="Stand-up")
        steps = [{"minutes": 25, "label": "work"}, {"minutes": 5, "label": "rest"}]
        call(url, "plan.put", plan="pomodoro", steps=steps, count=4)
        call(url, "queue.put", queue="mail", prefix="mail/", max_deliveries=1)
        call(url, "queue.put", queue="webhooks/shop", prefix="order/")
        for number in range(4):
            call(url, "timer.start", id=f"mail/{number}", label=f"Reminder {number}", seconds=0.05)
        yield url


if __name__ == "__main__":
    main()
