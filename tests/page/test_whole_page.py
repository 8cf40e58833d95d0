"""All of the page in a real browser: what people see and do there, and what they see when something fails."""

import re
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from fake_time import NS_PER_S, FakeTime
from local_server import LocalServer
from page.browsing import MARKUP, Visit, call, card, digits_s
from page.serving import PageGateway
from timer_gateway.tokens import make_token

pytestmark = pytest.mark.thorough

HOUR_S = 3600

FORGED_REQUESTS = """(url) => {
    const start = { jsonrpc: "2.0", method: "timer.start", params: { id: "forged", minutes: 5 } };
    const given = { method: "POST", credentials: "include", body: JSON.stringify(start) };
    const outcome = (asked) => asked.then(() => "answered", () => "refused");
    const post = (mode, type) => outcome(fetch(`${url}/rpc`, { ...given, mode, headers: { "Content-Type": type } }));
    const stream = new Promise((resolve) => {
        const source = new EventSource(`${url}/events`, { withCredentials: true });
        source.onopen = () => resolve("answered");
        source.onerror = () => { source.close(); resolve("refused") };
    });
    const read = outcome(fetch(`${url}/timers`, { credentials: "include" }));
    return Promise.all([post("no-cors", "text/plain"), post("cors", "application/json"), read, stream]);
}"""
FORGED_FORM = """(url) => {
    const name = '{"jsonrpc":"2.0","method":"timer.start","params":{"id":"forged","minutes":5,"label":"';
    const form = document.createElement("form");
    const input = document.createElement("input");
    Object.assign(form, { method: "POST", action: `${url}/rpc`, enctype: "text/plain" });
    form.append(Object.assign(input, { name, value: '"}}' }));
    document.body.append(form);
    form.submit();
}"""


def test_is_sorted_by_due_time_and_filtered(page: Page, url: str) -> None:
    for name, minutes in (("sort-late", 50), ("sort-soon", 20), ("sort-between", 30)):
        call(url, "timer.start", id=name, minutes=minutes)
    page.keyboard.press("/")
    page.keyboard.type("SORT-")
    names = page.locator("timer-card .name")
    expect(names).to_have_text(["sort-soon", "sort-between", "sort-late"])
    call(url, "timer.extend", id="sort-soon", hours=1)
    expect(names).to_have_text(["sort-between", "sort-late", "sort-soon"])
    page.get_by_label("Filter timers", exact=False).fill("no such timer")
    expect(page.get_by_text("No timer fits")).to_be_visible()


def test_what_is_typed_for_the_filter_is_no_key_also_before_there_is_a_timer(visit: Visit) -> None:
    with LocalServer() as server, PageGateway(server.commands) as gateway:
        page = visit().open(gateway.url)
        toolbar = page.locator("timer-board .toolbar")
        expect(toolbar).to_be_hidden()
        page.keyboard.press("/")
        call(gateway.url, "timer.start", id="extra", minutes=5)
        expect(card(page, "extra")).to_have_count(1)
        page.keyboard.type("xs")  # without a field, x cancels and s opens a timer
        expect(page.get_by_text("No timer fits “xs”")).to_be_visible()
        assert call(gateway.url, "timer.get", id="extra")["state"] == "running"
        page.get_by_label("Filter timers", exact=False).fill("")
        expect(card(page, "extra")).to_have_count(1)
        call(gateway.url, "timer.cancel", id="extra")
        expect(page.get_by_text("Nothing is running")).to_be_visible()
        expect(toolbar).to_be_visible()
        page.get_by_role("button", name="Restart extra").click()  # the field loses the focus between press and release
        expect(card(page, "extra")).to_have_count(1)
        call(gateway.url, "timer.cancel", id="extra")
        expect(toolbar).to_be_hidden()


def test_a_link_fills_the_form_and_only_a_click_starts(page: Page, url: str) -> None:
    page.goto(f"{url}/?start=25m&label={MARKUP}")
    expect(page.locator("connection-state")).to_have_text("Live")
    assert page.url == f"{url}/"
    expect(page.get_by_label("Time", exact=True)).to_have_value("25m")
    expect(page.get_by_label("Name", exact=True)).to_have_value(MARKUP)
    assert not [each for each in call(url, "timer.list", limit=1000)["timers"] if each["label"] == MARKUP]
    page.get_by_label("Name", exact=True).fill("from a link")
    page.get_by_role("button", name="Start", exact=True).click()
    expect(card(page, "from a link")).to_have_count(1)
    page.keyboard.press("n")
    page.get_by_label("Time", exact=True).fill("soon")
    page.keyboard.press("Enter")
    expect(page.get_by_text("“soon” is no time")).to_be_visible()
    page.get_by_label("Time", exact=True).fill("@14:30")
    expect(page.locator("#start-hint")).to_have_text(re.compile("^ends .*14:30, in "))
    page.get_by_label("Time", exact=True).fill("@2030-12-01 09:30")
    page.get_by_label("Name", exact=True).fill("at a moment")
    page.keyboard.press("Enter")
    expect(card(page, "at a moment")).to_have_count(1)
    (started,) = [each for each in call(url, "timer.list", limit=1000)["timers"] if each["label"] == "at a moment"]
    assert started["at"] == "2030-12-01T09:30:00"
    page.get_by_label("Name", exact=True).fill("by a preset")
    page.get_by_role("button", name="10m").click()
    expect(card(page, "by a preset").get_by_role("timer")).to_have_text(re.compile("^(10:00|09:)"))


def test_an_end_is_told_by_title_sound_notification_and_words(visit: Visit, url: str) -> None:
    visitor = visit()
    visitor.context.add_init_script(
        """const told = (name, text) => { document.documentElement.dataset[name] = text };
        let tones = 0;
        const start = OscillatorNode.prototype.start;
        OscillatorNode.prototype.start = function (...given) {
            told("tones", tones += 1);
            return start.apply(this, given);
        };
        window.Notification = class {
            static permission = "default";
            static async requestPermission() { return (window.Notification.permission = "granted") }
            constructor(title, { body }) { told("notified", `${title}: ${body}`) }
        };"""
    )
    page = visitor.open(url)
    page.get_by_role("button", name="Notifications").click()
    expect(page.get_by_role("button", name="Notifications")).to_have_attribute("aria-pressed", "true")
    call(url, "timer.start", id="eggs", label="Eggs", seconds=1.4)
    expect(page).to_have_title(re.compile(r"^00:0\d Eggs – Timers$"))
    expect(page.locator("#announcements")).to_have_text("Eggs: time is up")
    expect(page.locator("html")).to_have_attribute("data-tones", "3")
    expect(page.locator("html")).to_have_attribute("data-notified", "Time is up: Eggs")
    expect(page.locator(".ended").get_by_role("link", name="Eggs")).to_be_visible()


@pytest.mark.timeout(300)  # each tab is a process
def test_twenty_tabs_are_live_over_one_stream_and_another_opens_at_once(visit: Visit) -> None:
    with LocalServer() as server, PageGateway(server.commands) as gateway:
        visitor = visit()
        tabs = [visitor.open(gateway.url) for _ in range(21)]
        gateway.wait_for_streams(1)
        call(gateway.url, "timer.start", id="for-all", minutes=5)
        for tab in tabs:
            expect(card(tab, "for-all")).to_have_count(1)


def test_tabs_share_one_stream_also_where_the_browser_has_no_locks(visit: Visit) -> None:
    with LocalServer() as server, PageGateway(server.commands) as gateway:
        visitor = visit()
        visitor.context.add_init_script("Object.defineProperty(Navigator.prototype, 'locks', { value: undefined })")
        first, *others = [visitor.open(gateway.url) for _ in range(8)]
        gateway.wait_for_streams(1)
        first.close(run_before_unload=True)
        call(gateway.url, "timer.start", id="after", minutes=5)
        for page in others:
            expect(card(page, "after")).to_have_count(1)


def test_a_tab_that_holds_the_stream_and_says_nothing_loses_it(visit: Visit) -> None:
    hold = "how => { navigator.locks.request('timer-events', how, () => new Promise(() => {})).catch(() => {}) }"
    with LocalServer() as server, PageGateway(server.commands) as gateway:
        visitor = visit()
        stopped = visitor.tab()  # as a tab in the background that the browser has stopped
        stopped.goto(f"{gateway.url}/healthz")
        stopped.evaluate(hold, {})
        page = visitor.tab()
        page.clock.install()
        page.goto(gateway.url)
        expect(page.locator("connection-state")).to_have_text("Connecting")
        page.clock.fast_forward(13_000)
        expect(page.locator("connection-state")).to_have_text("Live")
        stopped.evaluate(hold, {"steal": True})
        stopped.close()
        call(gateway.url, "timer.start", id="again", minutes=5)
        expect(card(page, "again")).to_have_count(1)


def test_cut_off_it_says_since_when_and_catches_up(visit: Visit, url: str) -> None:
    call(url, "timer.start", id="cut-1", minutes=9)
    visitor = visit()
    page = visitor.open(url)
    expect(card(page, "cut-1")).to_have_count(1)
    visitor.context.set_offline(True)
    expect(page.locator("connection-state")).to_have_text(re.compile(r"^Last heard \d+ s ago$"))
    shown = digits_s(page, "cut-1")
    call(url, "timer.start", id="cut-2", minutes=9)
    expect(card(page, "cut-1").get_by_role("timer")).not_to_have_text(re.compile(f":{shown % 60:02}$"))
    page.evaluate("location.hash = '#/timer/cut-1'")
    expect(page.locator("timer-stage")).to_be_visible()
    expect(page.locator("connection-state")).to_be_visible()
    visitor.context.set_offline(False)
    expect(page.locator("connection-state")).to_be_hidden()
    page.keyboard.press("Escape")
    expect(card(page, "cut-2")).to_have_count(1)
    expect(page.locator("connection-state")).to_have_text("Live")


def test_does_not_drift_over_an_hour_in_which_it_drew_nothing(visit: Visit) -> None:
    time = FakeTime()
    clock = lambda: time.boot_ns() / NS_PER_S  # noqa: E731
    with LocalServer(time.sources()) as server, PageGateway(server.commands, clock=clock) as gateway:
        call(gateway.url, "timer.start", id="long", hours=2)
        visitor = visit()
        visitor.context.clock.install()
        page = visitor.open(gateway.url)
        expect(card(page, "long")).to_have_count(1)
        time.pass_s(HOUR_S)
        page.clock.fast_forward(HOUR_S * 1000)  # as on a machine that slept: each of the page's own timers comes once
        expect(page.get_by_role("timer")).to_have_text(re.compile("^(1:00:00|59:5.)$"))
        left_s = call(gateway.url, "timer.get", id="long")["remaining_ms"] / 1000
        assert abs(digits_s(page, "long") - left_s) <= 1.5


def test_a_token_of_the_link_becomes_a_cookie_and_says_what_may_be_done(visit: Visit, tmp_path: Path) -> None:
    file = tmp_path / "tokens"
    token, _ = make_token(file, frozenset({"read"}), "kitchen/", "reader")
    with LocalServer() as server, PageGateway(server.commands, file) as gateway:
        visitor = visit()
        page = visitor.tab()
        page.goto(gateway.url)
        page.locator("#token").fill("wrong")
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_text("This gateway does not know the token")).to_be_visible()
        page = visitor.open(f"{gateway.url}/#token={token}")
        assert "token" not in page.url
        assert [each["httpOnly"] for each in visitor.context.cookies()] == [True]
        expect(page.get_by_text("Signed in as reader, for timers below kitchen/")).to_be_visible()
        expect(page.locator("start-form")).to_be_hidden()
        page.get_by_role("button", name="Sign out").click()
        expect(page.get_by_role("heading", name="A token is needed")).to_be_visible()


def test_a_link_with_another_token_takes_no_session_away_unasked(visit: Visit, tmp_path: Path) -> None:
    file = tmp_path / "tokens"
    mine, _ = make_token(file, frozenset({"read", "start"}), "", "ada")
    other, _ = make_token(file, frozenset({"read"}), "kitchen/", "mallory")
    with LocalServer() as server, PageGateway(server.commands, file) as gateway:
        visitor = visit()
        page = visitor.open(f"{gateway.url}/#token={mine}")
        session = visitor.context.cookies()
        question = page.get_by_role("heading", name="Sign in as mallory?")
        for come in (f"location.hash = 'token={other}'", f"location.href = '{gateway.url}/?#token={other}'"):
            page.evaluate(come)
            expect(question).to_be_visible()
            assert "token" not in page.url
            expect(page.locator("dialog")).to_contain_text("You are signed in as ada")
            page.keyboard.press("Enter")  # keeps
            expect(question).to_be_hidden()
            expect(page.get_by_text("Signed in as ada", exact=True)).to_be_visible()
            assert visitor.context.cookies() == session
        page.evaluate(f"location.hash = 'token={mine}'")
        page.evaluate("location.hash = 'token=none'")
        expect(page.get_by_text("The link has a token. This gateway does not know")).to_be_visible()
        expect(page.locator("dialog")).to_have_count(0)
        page.evaluate(f"location.hash = 'token={other}'")
        page.locator("dialog").get_by_role("button", name="Sign in").click()
        expect(page.get_by_text("Signed in as mallory, for timers below kitchen/")).to_be_visible()
        assert "token" not in page.url


def test_a_link_to_a_page_that_asks_for_a_token_is_taken(visit: Visit, tmp_path: Path) -> None:
    file = tmp_path / "tokens"
    token, _ = make_token(file, frozenset({"read"}), "", "reader")
    with LocalServer() as server, PageGateway(server.commands, file) as gateway:
        page = visit().tab()
        page.goto(f"{gateway.url}/#token=wrong")
        expect(page.get_by_text("This gateway does not know the token")).to_be_visible()
        assert "token" not in page.url
        page.evaluate(f"location.hash = 'token={token}'")
        expect(page.get_by_text("Signed in as reader", exact=True)).to_be_visible()
        assert "token" not in page.url


def test_a_timer_whose_id_was_made_up_is_called_by_its_end(page: Page, url: str) -> None:
    made = call(url, "timer.start", minutes=5)["id"]
    below = f"shop/{made}"
    call(url, "timer.start", id=below, minutes=5)
    call(url, "timer.start", id="named", label="Named", minutes=5)
    for timer_id, name in ((made, f"timer …{made[-4:]}"), (below, f"shop/timer …{made[-4:]}"), ("named", "Named")):
        shown = page.locator(f"timer-card[data-timer='{timer_id}']")
        expect(shown.locator(".name")).to_have_text(name)
        expect(shown.locator(".id")).to_have_text(timer_id)
    page.locator(f"timer-card[data-timer='{made}']").get_by_role("link", name="Full screen").click()
    expect(page.locator("timer-stage h1")).to_have_text(f"timer …{made[-4:]}")
    expect(page.locator("timer-stage h1")).to_have_attribute("title", made)


def test_a_page_of_another_port_cannot_use_the_session(visit: Visit, tmp_path: Path) -> None:
    file = tmp_path / "tokens"
    token, _ = make_token(file, frozenset({"read", "start", "change", "admin"}), "", "owner")
    with LocalServer() as server, PageGateway(server.commands, file) as gateway:
        visitor = visit()
        page = visitor.open(f"{gateway.url}/#token={token}")
        other = "http://127.0.0.1:18998/"
        visitor.context.route(other, lambda route: route.fulfill(body="<title>other</title>", content_type="text/html"))
        foreign = visitor.context.new_page()
        foreign.goto(other)
        outcomes = foreign.evaluate(FORGED_REQUESTS, gateway.url)
        assert outcomes == ["refused"] * 4
        foreign.evaluate(FORGED_FORM, gateway.url)
        expect(foreign.locator("body")).to_contain_text("Origin")
        page.get_by_label("Time", exact=True).fill("5m")
        page.get_by_label("Name", exact=True).fill("own")
        page.keyboard.press("Enter")
        expect(card(page, "own")).to_have_count(1)
        expect(page.locator("timer-card")).to_have_count(1)


def test_plans_are_made_rest_and_are_deleted(page: Page, url: str) -> None:
    page.get_by_role("link", name="Plans").click()
    page.get_by_text("New plan").click()
    page.get_by_label("Rule").fill("0 25 * * *")
    expect(page.locator("#plan-hint")).to_contain_text("bad hour")
    page.get_by_label("Rule").fill("25m work, 5m rest")
    expect(page.locator("#plan-hint")).to_contain_text("comes ")
    page.get_by_label("Name", exact=True).fill("brew")
    page.get_by_label("Label of its timers").fill(MARKUP)
    page.get_by_role("button", name="Make").click()
    brew = page.locator(".records li").filter(has_text="brew")
    expect(brew.locator(".rule")).to_have_text(f"25 min work, 5 min rest · {MARKUP}")
    brew.get_by_role("button", name="Pause brew").click()
    expect(brew.get_by_role("button", name="Resume brew")).to_be_focused()
    assert call(url, "plan.get", plan="brew")["state"] == "paused"
    brew.get_by_role("button", name="Delete brew").click()
    for key in ("Enter", "Escape"):  # the answer that changes nothing, and it leaves the page where it is
        page.keyboard.press(key)
        expect(page.locator("dialog")).to_have_count(0)
        brew.get_by_role("button", name="Delete brew").click()
    page.locator("dialog").get_by_role("button", name="Delete").click()
    expect(brew).to_have_count(0)
    assert call(url, "plan.list", prefix="brew")["plans"] == []


def test_queues_are_made_revived_and_deleted(page: Page, url: str) -> None:
    page.get_by_role("link", name="Queues").click()
    page.get_by_text("New queue").click()
    page.get_by_label("Name", exact=True).fill("mail")
    page.get_by_label("Ids that begin with").fill("mail/")
    page.get_by_role("button", name="Make").click()
    mail = page.locator(".records > li").filter(has_text="mail/…")
    expect(mail).to_have_count(1)
    for number in range(2):
        past = "2020-01-01T00:00:00Z"
        call(url, "timer.start", id=f"mail/{number}", label=MARKUP, at=past, past="fire", payload=MARKUP)
        (delivery,) = call(url, "queue.take", queue="mail", wait_ms=5000)["deliveries"]
        call(url, "queue.nack", queue="mail", receipts=[delivery["receipt"]], then="dead", reason=MARKUP)
    mail.get_by_role("button", name="Dead letters of mail").click()
    expect(mail.locator(".ended .when").first).to_contain_text(MARKUP)
    mail.get_by_role("button", name="Revive mail/1").click()
    expect(page.get_by_text("1 letter is ready again.")).to_be_visible()
    mail.get_by_role("button", name="Drop mail/0").click()
    page.locator("dialog").get_by_role("button", name="Drop").click()
    expect(page.get_by_text("1 letter is dropped.")).to_be_visible()
    held = call(url, "queue.get", queue="mail")
    assert (held["ready"], held["dead"]) == (1, 0)
    mail.get_by_role("button", name="Delete mail").click()
    expect(page.get_by_text("1 end in it will be lost.")).to_be_visible()
    page.locator("dialog").get_by_role("button", name="Delete").click()
    expect(mail).to_have_count(0)
    assert page.evaluate("window.hacked") is None


def test_keeps_the_rules_of_accessibility_also_on_a_small_screen(visit: Visit, url: str) -> None:
    call(url, "timer.start", id="axe-1", label="Accessible", minutes=5)
    call(url, "timer.start", id="axe-2", minutes=7)
    call(url, "timer.pause", id="axe-2")
    call(url, "plan.put", plan="axe-plan", every={"minutes": 30})
    call(url, "queue.put", queue="axe-queue", prefix="axe/")
    page = visit(viewport={"width": 320, "height": 640}).open(url)
    expect(card(page, "axe-2")).to_have_count(1)
    views = {"#/": "timer-card", "#/plans": ".records li", "#/queues": ".records li", "#/timer/axe-1": "timer-stage"}
    for hash_, sign in views.items():
        page.evaluate("hash => { location.hash = hash }", hash_)
        page.wait_for_selector(sign)
        assert page.evaluate("document.documentElement.scrollWidth") == 320, hash_
        keeps_rules(page)
    page.emulate_media(color_scheme="dark")
    keeps_rules(page, runOnly=["color-contrast"])
    page.evaluate("location.hash = '#/'")
    page.wait_for_selector("timer-card")
    keeps_rules(page, runOnly=["color-contrast"])
    assert page.locator("time-ring .arc").first.evaluate("arc => getComputedStyle(arc).transitionProperty") == "none"
    page.keyboard.press("?")
    page.wait_for_selector("dialog[open]")
    keeps_rules(page)
    page.goto(f"{url}/api")
    assert page.evaluate("document.documentElement.scrollWidth") == 320
    keeps_rules(page)


def keeps_rules(page: Page, **options: object) -> None:
    results = Axe().run(page, options={"resultTypes": ["violations"], **options})
    assert results.violations_count == 0, results.generate_report()
