"""A real browser for the tests of the page: Debian's chromium, one for all of them."""

import json
import os
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Error, Page, expect, sync_playwright

CHROMIUM = "/usr/bin/chromium"
LIMIT_MS = 20_000
LIMIT_S = LIMIT_MS / 1000
MARKUP = "<img src=x onerror='window.hacked=1'>"
"""A name that would do something if it ever became markup."""

expect.set_options(timeout=LIMIT_MS)

_NETWORK_ERRORS = ("Failed to load resource", "net::ERR_")
"""What a browser writes where the service is away, as tests have it."""


@contextmanager
def browser() -> Iterator[Browser]:
    """The browser. Where there is none the tests are skipped, or fail with REQUIRE_BROWSER=1."""
    with sync_playwright() as playwright:
        try:
            # In a container there are neither the rights for a sandbox nor much of /dev/shm, nor a graphics card.
            arguments = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--in-process-gpu"]
            running = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        except Error as error:
            why = f"no browser at {CHROMIUM} ({error.message.splitlines()[0]})"
            if os.environ.get("REQUIRE_BROWSER") == "1":
                pytest.fail(f"REQUIRE_BROWSER=1, but {why}", pytrace=False)
            pytest.skip(why)
        try:
            yield running
        finally:
            running.close()


class Visitor:
    """Somebody with a browser of their own. What the page does wrong there fails the test."""

    def __init__(self, browser: Browser, **options: Any) -> None:
        usual = {"locale": "en-GB", "reduced_motion": "reduce", "viewport": {"width": 800, "height": 600}}
        self.context: BrowserContext = browser.new_context(**{**usual, **options})
        self.context.set_default_timeout(LIMIT_MS)
        self.faults: list[str] = []

    def open(self, url: str) -> Page:
        """The page, in a new tab, once it is live."""
        page = self.tab()
        self.go(page, url)
        return page

    def go(self, page: Page, url: str) -> None:
        """Goes to the page in a tab, and waits until it is live.

        Containers that come and go change the machine's network, at which the browser breaks all requests off. It opens
        an address again by itself; a test that drives it does that in its place.
        """
        for may_fail in (True, True, True, True, False):
            try:
                page.goto(url)
                expect(page.locator("connection-state")).to_have_text("Live")
            except (Error, AssertionError) as error:
                if not may_fail or "ERR_NETWORK_CHANGED" not in str(error):
                    raise
            else:
                return

    def tab(self) -> Page:
        """A new tab whose faults are noted."""
        page = self.context.new_page()
        page.on("pageerror", lambda error: self.faults.append(str(error)))
        page.on("console", self._note)
        return page

    def close(self) -> None:
        self.context.close()
        assert self.faults == []

    def _note(self, message: ConsoleMessage) -> None:
        if message.type == "error" and not any(each in message.text for each in _NETWORK_ERRORS):
            self.faults.append(message.text)


Visit = Callable[..., Visitor]
"""Makes a visitor."""


def call(url: str, method: str, **params: Any) -> Any:
    """The result of a method of the protocol, as another program asks for it."""
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    request = urllib.request.Request(f"{url}/rpc", json.dumps(body).encode(), {"Content-Type": "application/json"})  # noqa: S310
    with urllib.request.urlopen(request, timeout=LIMIT_S) as answer:  # noqa: S310
        told = json.load(answer)
    assert "error" not in told, told
    return told["result"]


def digits_s(page: Page, name: str) -> int:
    """The seconds that the ring of a timer shows."""
    text = card(page, name).get_by_role("timer").inner_text()
    seconds = 0
    for part in text.split(":"):
        seconds = seconds * 60 + int(part)
    return seconds


def card(page: Page, name: str) -> Any:
    """The card of the timer that is shown under a name."""
    return page.locator("timer-card").filter(has_text=name)
