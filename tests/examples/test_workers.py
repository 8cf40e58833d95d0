"""Examples whose parts meet at a queue or in the events: what they do is done once, whoever is stopped when."""

import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from examples.endpoints import Api, Mailbox, serving
from examples.running import Printed, functions, run, run_until
from timer_testing import TimerServer


def test_orders_are_paid_or_expire(standing_server: TimerServer, tmp_path: Path) -> None:
    options = ("--database", tmp_path / "orders.db")
    for order in ("42", "43", "44", "45"):
        assert run("order_expiry.py", "place", order, *options) == [f"order {order} is open"]
    assert run("order_expiry.py", "place", "42", *options) == ["order 42 is open"]
    assert run("order_expiry.py", "pay", "43", *options) == ["order 43 is paid"]
    with closing(sqlite3.connect(tmp_path / "orders.db")) as orders:
        with orders:  # as a process does that is killed before its cancel, or before its insert
            orders.execute("UPDATE orders SET state = 'paid' WHERE id = '44'")
            orders.execute("DELETE FROM orders WHERE id = '45'")

        def meanwhile(printed: Printed) -> None:
            standing_server.advance(minutes=15)
            printed.until("order 45 has expired")

        told = run_until("order_expiry.py", "work", *options, meanwhile=meanwhile)
        states = dict(orders.execute("SELECT id, state FROM orders"))
    assert told == ["order 42 has expired", "order 45 has expired"]
    assert states == {"42": "expired", "43": "paid", "44": "paid", "45": "expired"}
    assert run("order_expiry.py", "place", "45", *options) == ["order 45 is expired"]
    with pytest.raises(SystemExit, match="order 42 is not open"):
        run("order_expiry.py", "pay", "42", *options)


def test_who_does_not_check_in_is_reported(standing_server: TimerServer) -> None:
    for job in ("backup", "report"):
        (told,) = run("dead_mans_switch.py", "check-in", job, "--within", 3600)
        assert told == f"{job} is alive, and has 3600 s to say so again"
    standing_server.advance(minutes=59)
    (told,) = run("dead_mans_switch.py", "check-in", "report", "--within", 7200)
    assert told == "report is alive, and has 7200 s to say so again"
    standing_server.advance(minutes=2)  # before anybody watches

    def meanwhile(printed: Printed) -> None:
        printed.until("backup has not checked in for 3600 s")
        standing_server.advance(hours=2)
        printed.until("report has not checked in for 7200 s")

    assert len(run_until("dead_mans_switch.py", "watch", meanwhile=meanwhile)) == 2


def test_mail_is_sent_by_a_cron_rule(standing_server: TimerServer, monkeypatch: pytest.MonkeyPatch) -> None:
    rule = ("--cron", "0 9 * * 1-5", "--zone", "Europe/Rome")
    for subject, to in (("Stand-up", "ada@example.org"), ("Gone", "bob@example.org")):
        (told,) = run("cron_mail.py", "put", *rule, "--to", to, "--subject", subject)
        assert told == f"mail/{subject.lower()} comes next at 2027-03-26T09:00:00+01:00"

    with standing_server.client() as client:
        client.start(id="mail/broken", seconds=1, payload="not as it should be")

    def meanwhile(printed: Printed) -> None:
        standing_server.advance(seconds=1)
        printed.until("mail/broken: .*, attempt 1 of 5")
        standing_server.advance_to(datetime(2027, 3, 26, 8, tzinfo=UTC))
        printed.until("sent Stand-up to ada@example.org")
        with standing_server.client() as client:
            while (queue := client.get_queue("mail")).leased or not queue.dead:
                pass

    with serving(Mailbox()) as mailbox:
        mailbox.unknown = {"bob@example.org"}
        monkeypatch.setenv("SMTP_HOST", "127.0.0.1")
        monkeypatch.setenv("SMTP_PORT", str(mailbox.port))
        run_until("cron_mail.py", "work", meanwhile=meanwhile)
    (mail,) = mailbox.mail
    assert (mail["To"], mail["Subject"]) == ("ada@example.org", "Stand-up")
    assert mail["Message-ID"] == "<mail.stand-up~20270326T080000Z@timers.example.org>"
    with standing_server.client() as client:
        (letter,) = client.dead("mail").dead
        assert letter.reason == "550 nobody of that name"


def test_mail_is_printed_without_a_server(standing_server: TimerServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SMTP_HOST", raising=False)
    run("cron_mail.py", "put", "--cron", "0 9 * * *", "--to", "ada@example.org", "--subject", "Hello")

    def meanwhile(printed: Printed) -> None:
        with standing_server.client() as client:
            client.run_plan("mail/hello")
            standing_server.advance(seconds=0)
            printed.until("It is time: Hello.")
            while client.get_queue("mail").leased:
                pass

    assert "Subject: Hello" in run_until("cron_mail.py", "work", meanwhile=meanwhile)


def test_a_call_is_made_again_later(standing_server: TimerServer) -> None:
    for path in ("/charge/42", "/charge/43"):
        run("retry_later.py", "call", path)
        standing_server.advance(seconds=0.001)

    def meanwhile(printed: Printed) -> None:
        printed.until("/charge/43: 404 Not Found, given up")
        standing_server.advance(seconds=6)
        assert len(api.asked) == 2
        standing_server.advance(seconds=1)
        printed.until("/charge/42: 500")
        with standing_server.client() as client:
            while client.get_queue("calls").leased:
                pass

    with serving(Api((503, {"Retry-After": "7"}), (404, {}), (500, {}))) as api:
        told = run_until("retry_later.py", "work", "--api", api.url, meanwhile=meanwhile)
    assert told == [
        "/charge/42: 503 Service Unavailable, again in 7 s",
        "/charge/43: 404 Not Found, given up",
        "/charge/42: 500 Internal Server Error, given up",
    ]
    (first, key), (second, other), (third, same) = api.asked
    assert (first, second, third) == ("/charge/42", "/charge/43", "/charge/42")
    assert key == same != other
    with standing_server.client() as client:
        assert [letter.reason for letter in client.dead("calls").dead] == ["404 Not Found", "500 Internal Server Error"]


def test_a_service_that_is_away_is_called_again(standing_server: TimerServer) -> None:
    run("retry_later.py", "call", "/charge/42")
    standing_server.advance(seconds=0.001)
    with Api() as closed:
        url = closed.url

    def meanwhile(printed: Printed) -> None:
        printed.until("attempt 1 of 20")
        with standing_server.client() as client:
            while client.get_queue("calls").delayed < 1:
                pass

    (told,) = run_until("retry_later.py", "work", "--api", url, meanwhile=meanwhile)
    assert "refused" in told


def test_every_end_is_counted_once(standing_server: TimerServer, tmp_path: Path) -> None:
    example = functions("exactly_once.py")
    options = ("--database", tmp_path / "ends.db", "--prefix", "order/")
    with standing_server.client() as client:
        client.start_columns(["order/1", "order/2", "order/3", "tea"], 1)
        client.cancel("order/3")
        standing_server.advance(seconds=1)
        assert run("exactly_once.py", *options, "--until-now") == ["cancelled 1, fired 2"]
        assert run("exactly_once.py", *options, "--until-now") == []
        client.start(id="order/4", seconds=1)

        def meanwhile(printed: Printed) -> None:
            standing_server.advance(seconds=1)
            printed.until("cancelled 1, fired 3")

        run_until("exactly_once.py", *options, meanwhile=meanwhile)
        page = client.read_events("start", "order/")
        with closing(sqlite3.connect(tmp_path / "ends.db")) as database:
            with pytest.raises(SystemExit, match="another process"):
                example["take"](database, "start", page)
            assert dict(database.execute("SELECT * FROM ends")) == {"cancelled": 1, "fired": 3}
