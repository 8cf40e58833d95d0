"""Where webhooks may go: what is not the global unicast address of one host is refused, in whatever guise."""

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from timer_webhooks.permitted import is_permitted, meant_by

REFUSED = [
    "0.0.0.0",  # noqa: S104
    "10.0.0.1",
    "100.64.0.1",
    "127.0.0.1",
    "127.255.255.254",
    "169.254.169.254",
    "172.31.255.255",
    "192.0.0.8",
    "192.168.1.1",
    "198.18.0.1",
    "224.0.0.251",
    "239.255.255.250",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "::ffff:0:127.0.0.1",
    "64:ff9b::127.0.0.1",
    "64:ff9b::10.0.0.1",
    "64:ff9b:1::8.8.8.8",
    "100::1",
    "2001::1",
    "2001:0:7f00:1::1",
    "2001:db8::1",
    "2002:7f00:1::",
    "2002:a9fe:a9fe::1",
    "2a00:1450::5efe:127.0.0.1",
    "2a00:1450::200:5efe:10.0.0.1",
    "3fff::1",
    "5f00::1",
    "fc00::1",
    "fd12:3456::1",
    "fe80::1",
    "fe80::1%eth0",
    "fe80::5efe:8.8.8.8",
    "fec0::1",
    "ff02::1",
    "ff0e::1",
]
REACHED = [
    "1.1.1.1",
    "8.8.8.8",
    "93.184.216.34",
    "2606:4700:4700::1111",
    "2a00:1450:4001::200e",
    "::ffff:8.8.8.8",
    "64:ff9b::8.8.8.8",
    "2002:808:808::1",
]


@pytest.mark.parametrize("text", REFUSED)
def test_what_is_not_global_unicast_is_refused(text: str) -> None:
    assert not is_permitted(ip_address(text), (), is_plain=False)


@pytest.mark.parametrize("text", REACHED)
def test_global_unicast_is_reached_by_tls_alone(text: str) -> None:
    assert is_permitted(ip_address(text), (), is_plain=False)
    assert not is_permitted(ip_address(text), (), is_plain=True)


@given(st.ip_addresses(v=4) | st.ip_addresses(v=6))
def test_nothing_is_reached_that_python_does_not_take_for_global(address: IPv4Address | IPv6Address) -> None:
    if is_permitted(address, (), is_plain=False):
        meant = meant_by(address)
        assert meant.is_global
        assert not meant.is_multicast


@given(st.ip_addresses(v=4))
def test_an_address_in_ipv6_is_judged_as_what_it_stands_for(address: IPv4Address) -> None:
    number, is_fine = int(address), is_permitted(address, (), is_plain=False)
    for guise in (0xFFFF << 32 | number, 0x64_FF9B << 96 | number, 0x2002 << 112 | number << 80 | 1):
        assert is_permitted(IPv6Address(guise), (), is_plain=False) == is_fine


@pytest.mark.parametrize("is_plain", [False, True])
def test_listed_ranges_are_reached_and_no_more_than_those(is_plain: bool) -> None:
    listed = [ip_network("10.1.0.0/16"), ip_network("fd00::/8")]
    for text in ("10.1.2.3", "::ffff:10.1.2.3", "fd12::1"):
        assert is_permitted(ip_address(text), listed, is_plain=is_plain)
    for text in ("10.2.0.1", "127.0.0.1", "fc00::1", "::ffff:10.2.0.1"):
        assert not is_permitted(ip_address(text), listed, is_plain=is_plain)
