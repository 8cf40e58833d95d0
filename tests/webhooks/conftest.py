"""What the tests of webhooks share: endpoints on this machine, and a name service that says what a test wants."""

import socket
from collections.abc import Iterator
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest

from drivers.webhook_receiver import Receiver
from timer_webhooks.config import Endpoint, Url
from timer_webhooks.signing import key_of

SECRET = "whsec_" + "b25seSBmb3IgdGhlIHRlc3RzIG9mIHdlYmhvb2tz"
OTHER_SECRET = "whsec_" + "dGhlIHNlY3JldCB0aGF0IHdhcyB0aGVyZSBiZWZvcmU="


class Names:
    """A name service: each name with its answers in turn, of which the last one stays."""

    def __init__(self) -> None:
        self.answers: dict[str, list[list[str]]] = {}
        self.asked: list[str] = []

    def set(self, name: str, *answers: list[str]) -> None:
        """What a name has for addresses, each time that it is asked for."""
        self.answers[name] = list(answers)

    def getaddrinfo(self, host: str, port: int, **_: Any) -> list[tuple[Any, ...]]:
        """In place of the system's."""
        self.asked.append(host)
        if host not in self.answers:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        left = self.answers[host]
        found = left.pop(0) if len(left) > 1 else left[0]
        return [(socket.AF_INET6 if ":" in one else socket.AF_INET, 1, 6, "", (one, port)) for one in found]


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Names:
    """The name service that webhooks ask in this test."""
    service = Names()
    monkeypatch.setattr("timer_webhooks.lookup.getaddrinfo", service.getaddrinfo)
    return service


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """An endpoint on this machine."""
    with Receiver() as running:
        yield running


def endpoint_at(url: str, *, allow: tuple[str, ...] = ("127.0.0.0/8",), ca: Path | None = None) -> Endpoint:
    """An endpoint `it` for the ends below `hook/`."""
    scheme, _, rest = url.partition("://")
    authority, _, path = rest.partition("/")
    host, _, port = authority.rpartition(":")
    parsed = Url(scheme, host.strip("[]"), int(port), f"/{path}")
    return Endpoint("it", "hooks", "hook/", parsed, (key_of(SECRET),), tuple(map(ip_network, allow)), ca)
