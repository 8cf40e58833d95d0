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
def gateway() -> Iterator[PageGateway]:
    """A service with its page, which the tests share: each has timers of its own names."""
    with LocalServer() as server, PageGateway(server.commands) as running:
        yield running


@pytest.fixture
def url(gateway: PageGateway) -> str:
    """Where the page of the shared service is."""
    return gateway.url


@pytest.fixture(scope="package")
def regular(chromium: Browser) -> Iterator[Visitor]:
    """A visitor who comes again and again, for tests that need none of their own, which costs a second."""
    visitor = Visitor(chromium)
    yield visitor
    visitor.close()


@pytest.fixture(scope="package")
def tab(regular: Visitor) -> Page:
    """A tab of the regular visitor."""
    return regular.tab()


@pytest.fixture
def page(regular: Visitor, tab: Page, url: str) -> Page:
    """The page of the shared service, loaded anew and live, in the regular visitor's tab."""
    regular.go(tab, url)
    return tab


@pytest.fixture
def visit(chromium: Browser) -> Iterator[Visit]:
    """Makes visitors, who are sent away at the end."""
    with contextlib.ExitStack() as leaving:

        def make(**options: object) -> Visitor:
            visitor = Visitor(chromium, **options)
            leaving.callback(visitor.close)
            return visitor

        yield make
