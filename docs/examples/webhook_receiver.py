"""An endpoint for `timer-webhooks`: checks who has signed, and handles each end once. The standard library alone.

    WEBHOOK_SECRET=whsec_... python webhook_receiver.py [--port 8000] [--database received.db]

prints

    listening on http://127.0.0.1:8000
    timer.fired order/42

The signature is that of Standard Webhooks 1.0. An end that is told again, which may happen, is answered 200 and has no
second effect: its id is kept in the transaction of the effect itself. Put TLS in front.
"""

import argparse
import base64
import hashlib
import hmac
import json
import os
import signal
import sqlite3
import sys
import time
from contextlib import closing, suppress
from email.message import Message
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

TOLERANCE_S = 300
"""How far the time of a signature may be from now: what was recorded on the way cannot be sent again later."""

MOST_BYTES = 1 << 20


class Receiver(BaseHTTPRequestHandler):
    """Answers one request."""

    keys: ClassVar[list[bytes]]
    database: ClassVar[str]
    timeout = 15  # for a sender that stops in mid-sentence

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or int(length) > MOST_BYTES:
            self.answer(HTTPStatus.REQUEST_ENTITY_TOO_LARGE if length.isdecimal() else HTTPStatus.LENGTH_REQUIRED)
            return
        body = self.rfile.read(int(length))
        if not is_genuine(self.headers, body, self.keys, time.time()):
            self.answer(HTTPStatus.UNAUTHORIZED)
            return
        handle(self.database, self.headers["webhook-id"], json.loads(body))
        self.answer(HTTPStatus.OK)

    def answer(self, status: HTTPStatus) -> None:
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *values: Any) -> None:
        """Says nothing of requests that went well or were refused; whoever wants to know has a proxy in front."""


def is_genuine(headers: Message, body: bytes, keys: list[bytes], now_s: float) -> bool:
    """Whether one of the keys has signed id, time and body, and the time is now. The bytes count, as they came."""
    webhook_id, at_s = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not webhook_id or not at_s.isdecimal() or abs(now_s - int(at_s)) > TOLERANCE_S:
        return False
    content = f"{webhook_id}.{at_s}.".encode() + body
    wanted = [b"v1," + base64.b64encode(hmac.digest(key, content, hashlib.sha256)) for key in keys]
    given = headers.get("webhook-signature", "").encode().split()
    return any(hmac.compare_digest(one, another) for one in wanted for another in given)


def handle(database: str, webhook_id: str, webhook: dict[str, Any]) -> None:
    """The effect of an end, and the note that it was had: both or none."""
    with closing(sqlite3.connect(database, timeout=10)) as known, known:
        if known.execute("INSERT OR IGNORE INTO webhooks VALUES (?)", (webhook_id,)).rowcount:
            timer = webhook["data"]
            known.execute("INSERT INTO ends VALUES (?, ?, ?)", (timer["id"], timer["version"], webhook["type"]))
            print(webhook["type"], timer["id"], flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description="Receives the webhooks of timer-webhooks.")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--database", default="received.db")
    wanted = parser.parse_args()

    secrets = os.environ.get("WEBHOOK_SECRET", "").split()  # two while one gives way to the other
    if not secrets:
        sys.exit("WEBHOOK_SECRET is not set: put there what `timer-webhooks secret` has printed")
    Receiver.keys = [base64.b64decode(secret.removeprefix("whsec_")) for secret in secrets]
    Receiver.database = wanted.database
    with closing(sqlite3.connect(wanted.database)) as database, database:
        database.execute("CREATE TABLE IF NOT EXISTS webhooks (id TEXT PRIMARY KEY)")
        database.execute("CREATE TABLE IF NOT EXISTS ends (timer TEXT, version INTEGER, type TEXT)")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with ThreadingHTTPServer(("127.0.0.1", wanted.port), Receiver) as server, suppress(KeyboardInterrupt):
        print(f"listening on http://127.0.0.1:{server.server_port}", flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main()
