"""The webhook receiver takes what is signed as Standard Webhooks says, once, and nothing else."""

import json
import sqlite3
from base64 import b64encode
from collections.abc import Mapping
from contextlib import closing
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from pathlib import Path

import pytest
from standardwebhooks.webhooks import Webhook

from examples.running import Printed, run, run_until

OLD, NEW, OTHER = (f"whsec_{b64encode(bytes([number]) * 32).decode()}" for number in range(3))


def signed(secret: str, webhook_id: str, body: bytes, at: datetime | None = None) -> dict[str, str]:
    """The headers of a webhook, as another's library signs it."""
    at = at or datetime.now(UTC)
    signature = Webhook(secret).sign(webhook_id, at, body.decode())
    return {"webhook-id": webhook_id, "webhook-timestamp": str(int(at.timestamp())), "webhook-signature": signature}


def test_takes_each_end_once_and_only_from_who_may_tell_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEBHOOK_SECRET", f"{NEW} {OLD}")
    now = datetime.now(UTC)
    timer = {"id": "order/42", "state": "fired", "version": 2}
    body = json.dumps({"type": "timer.fired", "timestamp": now.isoformat(), "data": timer}).encode()
    good = signed(NEW, "end_1", body)

    def meanwhile(printed: Printed) -> None:
        port = int(printed.until(r"listening on http://127\.0\.0\.1:(\d+)\n")[1])

        def post(headers: Mapping[str, str], sent: bytes = body) -> int:
            with closing(HTTPConnection("127.0.0.1", port, timeout=10)) as connection:
                connection.request("POST", "/", sent, dict(headers))
                return connection.getresponse().status

        assert post(good) == 200
        assert post(good) == 200  # told again
        assert post(signed(NEW, "end_1", body, now + timedelta(seconds=60))) == 200  # and again, later
        assert post(signed(OLD, "end_2", body)) == 200  # while one secret gives way to the other
        two = signed(OTHER, "end_3", body)["webhook-signature"] + " " + signed(NEW, "end_3", body)["webhook-signature"]
        assert post({**signed(NEW, "end_3", body), "webhook-signature": two}) == 200
        assert post(signed(OTHER, "end_4", body)) == 401
        assert post(good, body.replace(b"42", b"43")) == 401
        assert post({**good, "webhook-id": "end_5"}) == 401
        for minutes in (-6, 6):
            assert post(signed(NEW, "end_6", body, now + timedelta(minutes=minutes))) == 401
        for name in good:
            assert post({each: value for each, value in good.items() if each != name}) == 401
            assert post({**good, name: "\u00b2"}) == 401
        assert post({**good, "Content-Length": str(2**40)}, b"") == 413
        assert post({**good, "Content-Length": "-1"}, b"") == 411

    database = tmp_path / "received.db"
    told = run_until("webhook_receiver.py", "--port", 0, "--database", database, meanwhile=meanwhile)
    assert told[1:] == ["timer.fired order/42"] * 3
    with closing(sqlite3.connect(database)) as received:
        assert [*received.execute("SELECT id FROM webhooks")] == [("end_1",), ("end_2",), ("end_3",)]
        assert [*received.execute("SELECT * FROM ends")] == [("order/42", 2, "timer.fired")] * 3


def test_wants_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WEBHOOK_SECRET", raising=False)
    with pytest.raises(SystemExit, match="WEBHOOK_SECRET"):
        run("webhook_receiver.py")
