"""The ports of tests are nobody else's, neither by the system's choice nor by that of another process."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from drivers import ports as ports_module
from drivers.ports import Ports

UNUSED = range(7_000, 10_240)
"""Of which no other test has any."""
TOOLS = Path(__file__).parents[2] / "tools"
HOLD = """
import sys
from drivers.ports import Ports
first = int(sys.argv[1])
ports = Ports(range(first, first + 8))
print(ports.next(), flush=True)
input()
"""


def test_a_port_is_kept_while_nobody_listens_and_can_be_bound_again_and_again() -> None:
    ports = Ports()
    port = ports.next()
    for _ in range(2):
        with (
            socket.create_server(("127.0.0.1", port)) as listener,
            socket.create_connection(("127.0.0.1", port), 5) as peer,
        ):
            with listener.accept()[0]:
                pass
            assert peer.recv(1) == b""
    assert port not in {Ports().next() for _ in range(50)}


def test_none_is_of_the_numbers_that_the_system_picks() -> None:
    lowest = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    if lowest < 12_000:
        pytest.skip(f"this machine picks from {lowest} on, and leaves too few")
    with socket.create_server(("127.0.0.1", 0)) as picked:
        assert lowest <= picked.getsockname()[1]
    assert all(Ports().next() < lowest for _ in range(50))


def test_there_are_some_where_the_system_picks_from_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    picked_from = tmp_path / "ip_local_port_range"
    picked_from.write_text("1024\t65535\n")
    monkeypatch.setattr(ports_module, "_PICKED_FROM", picked_from)
    assert 10_240 <= Ports().next() < 32_768


def test_those_of_another_process_are_not_given_until_it_has_ended() -> None:
    first = Ports(UNUSED).next()  # and let go of at once
    command = [sys.executable, "-c", HOLD, str(first)]
    environment = {"PYTHONPATH": str(TOOLS)}
    with subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == f"{first}\n"
        with pytest.raises(OSError, match=f"all ports from {first} to {first + 7} are taken"):
            Ports(range(first, first + 8))
        other.communicate("\n", timeout=10)
    assert Ports(range(first, first + 8)).next() == first


def test_a_row_of_which_somebody_has_one_is_not_given() -> None:
    first = Ports(UNUSED).next()
    with (
        socket.create_server(("127.0.0.1", first + 5)),
        pytest.raises(OSError, match="taken"),
    ):
        Ports(range(first, first + 8))
