"""Asks an ASGI application one request, with headers exactly as given, as no HTTP client would send them."""

import asyncio
import json
from collections.abc import Iterable
from typing import Any, NamedTuple

from starlette.types import ASGIApp, Message

Headers = Iterable[tuple[str, str]]


class Answer(NamedTuple):
    """What the application has answered."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def all(self, name: str) -> list[str]:
        """The values of a header."""
        return [value for known, value in self.headers if known == name]

    @property
    def json(self) -> Any:
        """The body, decoded."""
        return json.loads(self.body)

    @property
    def problem(self) -> str:
        """The name of the problem that the answer is."""
        assert ("content-type", "application/problem+json") in self.headers, self
        return str(self.json["type"]).partition("#")[2]


def ask(
    app: ASGIApp,
    method: str,
    target: str,
    headers: Headers = (),
    body: bytes = b"",
    *,
    scheme: str = "http",
    http_version: str = "1.1",
    client: str = "127.0.0.1",
) -> Answer:
    """The answer to a request. `Host` has to be among its headers."""
    path, _, query = target.partition("?")
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": http_version,
        "method": method,
        "scheme": scheme,
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": query.encode(),
        "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in headers],
        "client": (client, 50_000) if client else None,
        "server": ("127.0.0.1", 8080),
    }
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    asyncio.run(app(scope, receive, send))
    start, *parts = sent
    told = [(name.decode(), value.decode("latin-1")) for name, value in start["headers"]]
    return Answer(start["status"], told, b"".join(part.get("body", b"") for part in parts))
