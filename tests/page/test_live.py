"""The page in a real browser: it becomes live, stays so, and says when it is not."""

import re
from statistics import median

import pytest
from playwright.sync_api import Page, Route, expect

from drivers.server_process import ServerProcess
from page.browsing import MARKUP, Visit, Visitor, call, card
from page.serving import PageGateway

NOTE_WHEN_SEEN = """name => {
    window.seenAt = new Promise((resolve) => {
        const look = new MutationObserver(() => {
            if (!document.querySelector("timer-board").textContent.includes(name)) return;
            resolve(Date.now());
            look.disconnect();
        });
        look.observe(document.body, { subtree: true, childList: true, characterData: true });
    });
}"""
"""Notes when a timer of this name is drawn on the page."""


def test_loads_again_where_one_of_its_files_or_answers_was_lost_on_the_way(
    page: Page, regular: Visitor, url: str
) -> None:
    lost: list[str] = []

    def lose_first(route: Route) -> None:
        path = route.request.url.removeprefix(url)
        if path in lost:
            route.fallback()
            return
        lost.append(path)
        route.abort("internetdisconnected")

    for path in ("page.css", "modules/ring.js", "session"):
        page.route(f"**/{path}", lose_first)
    regular.go(page, url)
    assert sorted(lost) == ["/session", "/static/modules/ring.js", "/static/page.css"]
    assert page.evaluate("getComputedStyle(document.body).display") == "flex"
    page.unroute_all()


def test_tabs_share_one_stream_which_outlives_the_one_that_reads_it(
    page: Page, regular: Visitor, gateway: PageGateway
) -> None:
    other = regular.open(gateway.url)
    gateway.wait_for_streams(1)
    page.goto("about:blank")
    call(gateway.url, "timer.start", id="after", minutes=5)
    expect(card(other, "after")).to_have_count(1)
    gateway.wait_for_streams(1)
    other.close()


@pytest.mark.alone  # it judges time
@pytest.mark.timeout(300)
def test_two_visitors_see_each_others_timers_within_300_ms(page: Page, visit: Visit, url: str) -> None:
    bob = visit().open(url)
    rounds = []
    for names in (range(20), range(20, 40), range(40, 60)):
        rounds.append([ms_until_seen(page, bob, f"seen {name}") for name in names])
        if median(rounds[-1]) <= 300:
            return
    pytest.fail(f"in each of three rounds most took longer: {rounds} ms")  # a machine may be busy for one of them


def ms_until_seen(page: Page, other: Page, name: str) -> int:
    """How long after a click on one page a timer is drawn on the other, by the clock that both have."""
    other.evaluate(NOTE_WHEN_SEEN, name)
    page.get_by_label("Time", exact=True).fill("25m")
    page.get_by_label("Name", exact=True).fill(name)
    began_ms = page.evaluate("() => { document.querySelector('start-form .primary').click(); return Date.now() }")
    return int(other.evaluate("() => window.seenAt") - began_ms)


def test_a_timer_is_changed_by_buttons_and_keys_and_a_cancelled_one_comes_back(page: Page, url: str) -> None:
    call(url, "timer.start", id="soup", label="Soup", minutes=10)
    soup = card(page, "Soup")
    soup.get_by_role("button", name="Pause").click()
    expect(soup.get_by_role("button", name="Resume")).to_be_visible()
    assert call(url, "timer.get", id="soup")["state"] == "paused"
    soup.focus()
    page.keyboard.press(" ")
    expect(soup.get_by_role("button", name="Pause")).to_be_visible()
    soup.get_by_role("button", name="Add 5 minutes").click()
    expect(soup.get_by_role("timer")).to_have_text(re.compile("^1[45]:"))
    soup.focus()
    page.keyboard.press("1")
    expect(soup.get_by_role("timer")).to_have_text(re.compile("^1[56]:"))
    due_at_ms = call(url, "timer.get", id="soup")["due_at_ms"]
    soup.get_by_role("button", name="Cancel").click()
    expect(soup).to_have_count(0)
    assert call(url, "timer.get", id="soup")["state"] == "cancelled"
    page.get_by_role("button", name="Undo").click()
    expect(soup).to_have_count(1)
    expect(soup.get_by_role("timer")).to_have_text(re.compile("^1[56]:"))
    assert call(url, "timer.get", id="soup")["due_at_ms"] == due_at_ms
    soup.get_by_role("button", name="Restart").click()
    expect(soup.get_by_role("timer")).to_have_text(re.compile("^(10:00|09:5)"))


def test_markup_in_data_stays_text(page: Page, url: str) -> None:
    call(url, "timer.start", id="markup", label=MARKUP, minutes=5, payload={"html": MARKUP})
    expect(card(page, MARKUP)).to_have_count(1)
    card(page, MARKUP).get_by_role("link", name="Full screen").click()
    expect(page.locator("timer-stage h1")).to_have_text(MARKUP)
    page.get_by_text("Payload").click()
    expect(page.locator("timer-stage pre")).to_contain_text(MARKUP)
    page.evaluate("hash => { location.hash = hash }", f"#/timer/{MARKUP}")
    expect(page.locator("timer-stage h1")).to_have_text(MARKUP)
    page.keyboard.press("Escape")
    page.evaluate("markup => document.querySelector('notice-stack').fault(markup)", MARKUP)
    call(url, "timer.cancel", id="markup")
    expect(page.locator(".ended").get_by_role("link", name=MARKUP)).to_be_visible()
    assert page.evaluate("window.hacked") is None
    assert page.locator("img[src=x]").count() == 0


def test_a_server_that_is_killed_is_told_and_comes_back(
    tab: Page, regular: Visitor, server_process: ServerProcess
) -> None:
    with PageGateway(server_process.commands) as gateway:
        call(gateway.url, "timer.start", id="kept", minutes=9)
        regular.go(tab, gateway.url)
        expect(card(tab, "kept")).to_have_count(1)
        server_process.kill()
        expect(tab.locator("connection-state")).to_have_text(re.compile(r"^Server away, last heard \d+ s ago$"))
        expect(card(tab, "kept").get_by_role("timer")).to_have_text(re.compile("^08:"))
        server_process.start()
        expect(tab.locator("connection-state")).to_have_text("Live")
        call(gateway.url, "timer.start", id="new", minutes=9)
        expect(card(tab, "new")).to_have_count(1)
        expect(card(tab, "kept")).to_have_count(1)
        tab.goto("about:blank")
