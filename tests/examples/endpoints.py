"""What examples talk to besides the timer server: a mail server and a service over HTTP, each in a thread."""

import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Mailbox(socketserver.ThreadingTCPServer):
    """A mail server that keeps what it gets. It refuses mail to those in `unknown` for good."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Smtp)
        self.mail: list[Message] = []
        self.unknown: set[str] = set()

    @property
    def port(self) -> int:
        return int(self.server_address[1])


class _Smtp(socketserver.StreamRequestHandler):
    server: Mailbox

    def handle(self) -> None:
        self._answer("220 here")
        for line in self.rfile:
            verb = line.split(maxsplit=1)[0].upper()
            if verb == b"DATA":
                self._answer("354 go on")
                data = b"".join(iter(self.rfile.readline, b".\r\n"))
                self.server.mail.append(message_from_bytes(data))
                self._answer("250 kept")
            elif verb == b"RCPT" and line.decode().partition("<")[2].partition(">")[0] in self.server.unknown:
                self._answer("550 nobody of that name")
            else:
                self._answer("221 bye" if verb == b"QUIT" else "250 fine")

    def _answer(self, text: str) -> None:
        self.wfile.write(f"{text}\r\n".encode())


class Api(ThreadingHTTPServer):
    """A service that gives its answers, a status and headers each, one after the other, and keeps what was asked."""

    daemon_threads = True

    def __init__(self, *answers: tuple[int, dict[str, str]]) -> None:
        super().__init__(("127.0.0.1", 0), _Answers)
        self.answers = iter(answers)
        self.asked: list[tuple[str, str | None]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Answers(BaseHTTPRequestHandler):
    server: Api

    def do_POST(self) -> None:
        self.server.asked.append((self.path, self.headers["Idempotency-Key"]))
        status, headers = next(self.server.answers)
        self.send_response(status)
        for name, value in {"Content-Length": "0", **headers}.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def serving(server: Any) -> Iterator[Any]:
    """Serves in a thread while the block runs."""
    with server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
