"""Connections are made to addresses that were checked, whatever the name service says next; and answers are bounded."""

import asyncio
import socket
import ssl
import threading
import time
from pathlib import Path
from typing import Any

import httpcore
import pytest

from drivers.webhook_receiver import Receiver, redirecting_to
from timer_protocol.traces import Trace
from timer_webhooks import exchange, lookup
from timer_webhooks.egress import ANSWER_BYTES, AddressRefused, BoundedStream, Egress
from timer_webhooks.exchange import Answer, Exchange
from timer_webhooks.lookup import Lookups, UnknownHost
from timer_webhooks.webhook import Webhook
from webhooks.conftest import Names, endpoint_at

PUBLIC, OTHER_PUBLIC = "93.184.216.34", "2606:4700:4700::1111"
WEBHOOK = Webhook("end_x", b'{"type":"timer.fired"}')
CERTIFICATE = Path(__file__).parent / "data" / "hooks.test.crt"
KEY = Path(__file__).parent / "data" / "hooks.test.pem"


class Network(httpcore.AnyIOBackend):
    """Connects nowhere, and says where it was to."""

    def __init__(self, *refusing: str) -> None:
        self.connected: list[str] = []
        self._refusing = refusing

    async def connect_tcp(self, host: str, *_: Any, **__: Any) -> httpcore.AsyncNetworkStream:
        self.connected.append(host)
        if host in self._refusing:
            raise httpcore.ConnectError("refused")
        return httpcore.AsyncMockStream([b"HTTP/1.1 200 OK\r\n\r\n"])


def connect(network: Network, host: str) -> None:
    """Connects to a host by TLS as far as the network lets it."""
    egress = Egress((), Lookups(1), is_plain=False)
    egress._network = network
    asyncio.run(egress.connect_tcp(host, 443))


def post(url: str, webhook: Webhook = WEBHOOK, **options: Any) -> Answer:
    """The answer to a webhook sent to an endpoint."""

    async def send() -> Answer:
        return await Exchange(endpoint_at(url, **options)).post(webhook)

    return asyncio.run(send())


class TestNames:
    def test_the_address_that_was_checked_is_the_one_connected_to(self, names: Names) -> None:
        names.set("rebinding.test", [PUBLIC], ["127.0.0.1"])
        network = Network()
        connect(network, "rebinding.test")
        assert network.connected == [PUBLIC]
        assert names.asked == ["rebinding.test"]
        with pytest.raises(AddressRefused, match=r"rebinding.test is at 127\.0\.0\.1"):
            connect(network, "rebinding.test")
        assert network.connected == [PUBLIC]

    @pytest.mark.parametrize("found", [["10.0.0.1"], [PUBLIC, "169.254.169.254"], [OTHER_PUBLIC, "::ffff:127.0.0.1"]])
    def test_one_address_that_is_not_permitted_refuses_the_name(self, names: Names, found: list[str]) -> None:
        names.set("mixed.test", found)
        network = Network()
        with pytest.raises(AddressRefused):
            connect(network, "mixed.test")
        assert network.connected == []

    @pytest.mark.parametrize("host", ["127.0.0.1", "::1", "169.254.169.254", "::ffff:7f00:1"])
    def test_a_number_is_judged_without_asking(self, names: Names, host: str) -> None:
        with pytest.raises(AddressRefused):
            connect(Network(), host)
        assert names.asked == []

    @pytest.mark.parametrize("host", ["2130706433", "0x7f.1", "127.1", "localhost"])
    def test_what_the_system_takes_for_this_machine_is_refused(self, host: str) -> None:
        with pytest.raises(AddressRefused):
            connect(Network(), host)

    def test_further_addresses_are_tried(self, names: Names) -> None:
        names.set("two.test", [OTHER_PUBLIC, PUBLIC])
        network = Network(OTHER_PUBLIC)
        connect(network, "two.test")
        assert network.connected == [OTHER_PUBLIC, PUBLIC]
        names.set("many.test", [f"8.8.8.{last}" for last in range(200)])
        network = Network(*(f"8.8.8.{last}" for last in range(200)))
        with pytest.raises(httpcore.ConnectError):
            connect(network, "many.test")
        assert len(network.connected) == 3

    @pytest.mark.usefixtures("names")
    def test_a_name_without_an_address(self) -> None:
        with pytest.raises(UnknownHost, match=r"nowhere\.test cannot be looked up: Name or service not known"):
            connect(Network(), "nowhere.test")

    def test_a_socket_of_the_machine_is_refused(self) -> None:
        with pytest.raises(AddressRefused):
            asyncio.run(Egress((), Lookups(1), is_plain=True).connect_unix_socket("/var/run/docker.sock"))

    def test_a_name_service_that_hangs_is_given_a_bounded_number_of_threads(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        begun, may_end = [], threading.Event()

        def hang(host: str, *_: Any, **__: Any) -> list[Any]:
            begun.append(host)
            may_end.wait(10)
            return [(0, 1, 6, "", (PUBLIC, 443))]

        async def ask() -> None:
            lookups = Lookups(2)
            for _ in range(5):
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0.01):
                        await lookups.addresses("slow.test", 443)
            assert begun == ["slow.test"] * 2
            may_end.set()
            assert [str(found) for found in await lookups.addresses("slow.test", 443)] == [PUBLIC]

        monkeypatch.setattr(lookup, "getaddrinfo", hang)
        asyncio.run(ask())


def test_http_goes_to_listed_ranges_alone(receiver: Receiver) -> None:
    assert post(receiver.url).outcome == "delivered"
    refused = post(receiver.url, allow=("10.0.0.0/8",))
    assert refused.outcome == "refused"
    assert "127.0.0.1" in refused.reason
    assert receiver.connections == 1


def test_the_environment_has_no_say(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    with Receiver() as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
        assert post(receiver.url).outcome == "delivered"
        assert proxy.connections == 0


def test_no_redirect_is_followed(receiver: Receiver) -> None:
    with Receiver() as elsewhere:
        receiver.moods["redirecting"] = redirecting_to(elsewhere.url)
        receiver.mood = "redirecting"
        assert post(receiver.url) == Answer("redirect", "answered 307", 307)
        assert elsewhere.connections == 0


@pytest.mark.parametrize(
    ("mood", "outcome"),
    [
        ("ok", "delivered"),
        ("failing", "server_error"),
        ("missing", "client_error"),
        ("busy", "client_error"),
        ("gone", "gone"),
        ("bomb", "delivered"),
        ("closing", "broken"),
        ("nonsense", "broken"),
        ("endless", "delivered"),
        ("endless interim", "broken"),
        ("endless headers", "broken"),
        ("half", "delivered"),
        ("hanging", "timeout"),
        ("drip", "timeout"),
    ],
)
def test_what_an_answer_means(receiver: Receiver, mood: str, outcome: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if mood in {"half", "hanging", "drip"}:
        monkeypatch.setattr(exchange, "EXCHANGE_S", 0.2)
    receiver.mood = mood
    begun_s = time.monotonic()
    answer = post(receiver.url)
    assert answer.outcome == outcome, answer
    assert time.monotonic() - begun_s < 5
    assert answer.retry_after_s == (7 if mood == "busy" else 0)


def test_a_trace_that_is_no_header_is_left_out(receiver: Receiver) -> None:
    good = f"00-{'a1' * 16}-{'b2' * 8}-01"
    for trace in (Trace(f"{good}\r\nx-forged: 1"), Trace(good, "shop=1\r\nx-forged: 1"), Trace("", "shop=1")):
        assert asyncio.run(Exchange(endpoint_at(receiver.url)).post(WEBHOOK, trace)).is_delivered
    assert [each for one in receiver.received for each in one.headers if each.startswith(("trace", "x-"))] == []
    assert len(receiver.received) == 3


class Endless(httpcore.AsyncMockStream):
    """A connection that always has more to read."""

    def __init__(self) -> None:
        super().__init__([])

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002, ASYNC109
        return bytes(max_bytes)


def test_no_more_of_an_answer_is_read_than_the_bound() -> None:
    async def read_all(stream: BoundedStream) -> int:
        read_bytes = 0
        while read_bytes < ANSWER_BYTES:
            read_bytes += len(await stream.read(40_000))
        with pytest.raises(httpcore.ReadError, match="longer than 65536 bytes"):
            await stream.read(40_000)
        return read_bytes

    assert asyncio.run(read_all(BoundedStream(Endless()))) == ANSWER_BYTES == 65_536


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_an_endpoint_that_accepts_and_reads_nothing(scheme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a body that does not leave nor a handshake that is not answered takes longer than an exchange may."""
    monkeypatch.setattr(exchange, "EXCHANGE_S", 0.2)
    large = Webhook("end_x", bytes(16 * 1024 * 1024))
    with socket.create_server(("127.0.0.1", 0)) as silent:
        begun_s = time.monotonic()
        answer = post(f"{scheme}://127.0.0.1:{silent.getsockname()[1]}/hook", webhook=large)
        assert answer.outcome == "timeout", answer
        assert time.monotonic() - begun_s < 5


def test_nobody_listens(receiver: Receiver) -> None:
    receiver.go_away()
    assert post(receiver.url) == Answer("unreachable", "Connection refused")


def tls_receiver() -> Receiver:
    """An endpoint that shows the certificate of hooks.test."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(KEY)
    return Receiver(tls=context)


@pytest.mark.parametrize(
    ("host", "ca", "expected"),
    [
        ("hooks.test", CERTIFICATE, "answered 204"),
        ("other.test", CERTIFICATE, "Hostname mismatch"),
        ("hooks.test", None, "self-signed certificate"),
    ],
)
def test_tls_is_for_the_name_and_not_for_the_address(names: Names, host: str, ca: Path | None, expected: str) -> None:
    names.set(host, ["127.0.0.1"])
    with tls_receiver() as receiver:
        answer = post(f"https://{host}:{receiver.port}/hook", ca=ca)
        assert expected in answer.reason, answer
        if ca is not None and answer.status:
            assert receiver.received[0].headers["host"] == f"{host}:{receiver.port}"
