"""A browser, a service with its page, and visitors."""

import contextlib
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page

from local_server import LocalServer
from page.browsing import Visit, Visitor, browser
from page.serving import PageGateway


@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    with browser() as running:
        yield running


@pytest.fixture(scope="package")
def url() -> Iterator[str]:
    """The page of a service that the tests share; each has timers of its own names."""
    with LocalServer() as server, PageGateway(server.commands) as gateway:
        yield gateway.url


@pytest.fixture(scope="package")
def regular(chromium: Browser) -> Iterator[Visitor]:
    """A visitor who comes again and again, for tests that need no browser of their own."""
    visitor = Visitor(chromium)
    yield visitor
    visitor.close()


@pytest.fixture
def page(regular: Visitor, url: str) -> Iterator[Page]:
    """A tab of the regular visitor in which the page is live."""
    tab = regular.open(url)
    yield tab
    tab.close()


@pytest.fixture
def visit(chromium: Browser) -> Iterator[Visit]:
    """Makes visitors, who are sent away at the end."""
    with contextlib.ExitStack() as leaving:

        def make(**options: object) -> Visitor:
            visitor = Visitor(chromium, **options)
            leaving.callback(visitor.close)
            return visitor

        yield make
