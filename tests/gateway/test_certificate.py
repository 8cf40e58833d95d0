"""HTTPS of the gateway's own: what it speaks, and a certificate that is renewed while it runs."""

import asyncio
import shutil
import ssl
from pathlib import Path

import pytest

from gateway.visits import NOWHERE, Peer, listening, said_to
from timer_gateway.certificate import renew
from timer_gateway.opening import open_access
from timer_gateway.serve import config_of, make_parts
from timer_gateway.settings import GatewaySettings, read_settings
from timer_protocol.settings import SettingError

FIRST, RENEWED = (Path(__file__).parent / "data" / f"{name}.pem" for name in ("first", "renewed"))
"""A certificate of `localhost` with its key; nothing is protected by it."""


def certificate_of(context: ssl.SSLContext) -> bytes:
    """The certificate that a server with this context shows."""
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
    ends = ssl.MemoryBIO(), ssl.MemoryBIO()
    there, here = context.wrap_bio(*ends, server_side=True), client.wrap_bio(*reversed(ends))
    for _ in range(3):
        for end in (here, there):
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
    shown = here.getpeercert(binary_form=True)
    assert shown is not None
    return shown


def written(path: Path) -> bytes:
    return ssl.PEM_cert_to_DER_cert(path.read_text().partition("-----BEGIN PRIVATE")[0])


@pytest.mark.parametrize("harm", ["another's key", "half a key", "no key"])
def test_certificate_that_does_not_fit_its_key_changes_nothing(tmp_path: Path, harm: str) -> None:
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    for path in (certificate, key):
        shutil.copy(FIRST, path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    renew(context, certificate, key)
    assert certificate_of(context) == written(FIRST)

    shutil.copy(RENEWED, certificate)  # the key is to follow
    if harm == "half a key":
        key.write_bytes(RENEWED.read_bytes()[:-100])
    elif harm == "no key":
        key.unlink()
    with pytest.raises(OSError, match=r".*"):
        renew(context, certificate, key)
    assert certificate_of(context) == written(FIRST)

    shutil.copy(RENEWED, key)
    renew(context, certificate, key)
    assert certificate_of(context) == written(RENEWED)


def test_https_is_spoken_and_nothing_else() -> None:
    trusting = ssl.create_default_context(cafile=str(FIRST))
    ask = b"GET /session HTTP/1.1\r\nHost: localhost\r\nOrigin: %s\r\nConnection: close\r\n\r\n"

    async def meet() -> None:
        async with listening(NOWHERE, certificate=FIRST, key=FIRST) as connect:

            async def secure() -> Peer:
                peer: Peer = await connect(ssl=trusting, server_hostname="localhost")
                return peer

            assert b" 200 OK" in await said_to(await secure(), ask % b"https://localhost")
            assert b" 403 " in await said_to(await secure(), ask % b"http://localhost")
            assert b"200" not in await said_to(await connect(), ask % b"http://localhost")

    asyncio.run(meet())


def test_beyond_this_machine_it_is_encrypted_or_said_to_be_trusted(tmp_path: Path) -> None:
    bind = {"TIMER_GATEWAY_BIND": "10.0.0.1:8080", "TIMER_GATEWAY_TOKENS": str(tmp_path / "tokens")}
    for more in ({}, {"TIMER_GATEWAY_HOSTS": "timers.example"}, {"TIMER_GATEWAY_PLAIN": "0"}):
        with pytest.raises(SettingError, match=r"10\.0\.0\.1:8080, which other machines reach"):
            read_settings({**bind, **more}, GatewaySettings().client)
    pair = {"TIMER_GATEWAY_CERTIFICATE": str(FIRST), "TIMER_GATEWAY_KEY": str(FIRST)}
    for more in ({"TIMER_GATEWAY_PLAIN": "1"}, pair):
        settings = read_settings({**bind, **more}, GatewaySettings().client)
        assert settings.is_encrypted == (more is pair)

    async def begin() -> None:
        broken = read_settings({**bind, **pair, "TIMER_GATEWAY_KEY": str(tmp_path)}, GatewaySettings().client)
        access, _ = open_access(broken, lambda: 0.0)
        with pytest.raises(SettingError, match=r"^TIMER_GATEWAY_CERTIFICATE .* cannot be used"):
            config_of(make_parts(broken, access))

    asyncio.run(begin())
