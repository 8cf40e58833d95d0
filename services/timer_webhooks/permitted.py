"""Which addresses a webhook may be sent to: global unicast ones, and those in ranges that the operator has listed.

Python's `is_global` does not do: it is true for multicast and for an IPv6 address that stands for 127.0.0.1, and what
it says changes between releases. Nothing is looked up here.
"""

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_IPV4_BITS = 0xFFFF_FFFF

_MAPPED = IPv6Network("::ffff:0:0/96")
_TRANSLATED = IPv6Network("64:ff9b::/96")
_SIX_TO_FOUR = IPv6Network("2002::/16")
STAND_FOR_IPV4 = (_MAPPED, _TRANSLATED, _SIX_TO_FOUR)
"""IPv6 addresses by which a connection goes to the IPv4 address that they hold."""

_ISATAP = (0x0000_5EFE, 0x0200_5EFE)
"""The third quarter of an address of which the last one is IPv4, behind any prefix."""

_GLOBAL_IPV6 = IPv6Network("2000::/3")

_NOT_GLOBAL_IPV4 = tuple(
    IPv4Network(text)
    for text in (
        "0.0.0.0/8",  # this host: Linux connects to itself
        "10.0.0.0/8",
        "100.64.0.0/10",  # behind a carrier's NAT
        "127.0.0.0/8",
        "169.254.0.0/16",  # link-local, where clouds tell instances their credentials
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",  # relays of 6to4
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",
    )
)
"""The special ranges that IANA lists, but those that are reachable from everywhere."""

_NOT_GLOBAL_IPV6 = tuple(
    IPv6Network(text)
    for text in (
        "2001::/23",  # tunnels such as Teredo, and other protocols
        "2001:db8::/32",  # documentation, as the next one
        "3fff::/20",
    )
)


def is_permitted(address: Address, listed: Iterable[Network], *, is_plain: bool) -> bool:
    """Whether a connection to the address may be made; without TLS (`is_plain`) only where it is in a listed range."""
    meant = meant_by(address)
    return any(meant in network for network in listed) or (not is_plain and is_global_unicast(meant))


def meant_by(address: Address) -> Address:
    """The IPv4 address that an IPv6 address stands for, or else the address itself."""
    if isinstance(address, IPv4Address):
        return address
    if address in _MAPPED or address in _TRANSLATED:
        return IPv4Address(int(address) & _IPV4_BITS)
    if address in _SIX_TO_FOUR:
        return IPv4Address(int(address) >> 80 & _IPV4_BITS)
    return address


def is_global_unicast(address: Address) -> bool:
    """Whether it is the address of one host that can be reached from everywhere."""
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _NOT_GLOBAL_IPV4)
    if address not in _GLOBAL_IPV6 or any(address in network for network in _NOT_GLOBAL_IPV6):
        return False
    if int(address) >> 32 & _IPV4_BITS in _ISATAP:
        return is_global_unicast(IPv4Address(int(address) & _IPV4_BITS))
    return True
