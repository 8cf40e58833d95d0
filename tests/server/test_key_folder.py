"""A folder of keys that cannot be read takes nobody's key away, neither does a file in it."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from drivers.restrictions import no_descriptor_left, nobody
from keys import KeyRing
from timer_protocol.key_pairs import KeyFileError
from timer_server.access.gate import Gate


@pytest.fixture
def gate(ring: KeyRing) -> Gate:
    """A gate that has read the keys of `ring`."""
    return Gate(ring.files)


def allowed(gate: Gate, ring: KeyRing) -> list[str]:
    """Those of the clients whose messages the gate would let in."""
    publics = {name: ring.options(name)["curve_publickey"].decode() for name in ("admin", "shop")}
    return [name for name, public in publics.items() if gate.sender_of({"User-Id": public}).name == name]


@contextmanager
def forbidden(folder: Path) -> Iterator[None]:
    folder.chmod(0)
    try:
        with nobody():
            yield
    finally:
        folder.chmod(0o700)


@contextmanager
def too_many_files(_: Path) -> Iterator[None]:
    with no_descriptor_left():
        yield


@contextmanager
def unmounted(folder: Path) -> Iterator[None]:
    """An empty folder in the place of another one, as after an unmount."""
    folder.rename(folder.with_name("mounted"))
    folder.mkdir()
    yield


@contextmanager
def file_instead(folder: Path) -> Iterator[None]:
    folder.rename(folder.with_name("moved"))
    folder.touch()
    yield


@contextmanager
def pipe_within(folder: Path) -> Iterator[None]:
    os.mkfifo(folder / "pipe.key")
    yield


@contextmanager
def folder_within(folder: Path) -> Iterator[None]:
    (folder / "folder.key").mkdir()
    yield


@contextmanager
def dangling_link_within(folder: Path) -> Iterator[None]:
    (folder / "link.key").symlink_to("nowhere")
    yield


@contextmanager
def torn_file_within(folder: Path) -> Iterator[None]:
    (folder / "shop.key").write_bytes((folder / "shop.key").read_bytes()[:80])
    yield


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (forbidden, "Permission denied"),
        (too_many_files, "Too many open files"),
        (unmounted, "is empty, and another folder than the one read before"),
        (file_instead, "Not a directory"),
        (pipe_within, "pipe.key: it is a FIFO, and has to be a file"),
        (folder_within, "folder.key: it is a folder, and has to be a file"),
        (dangling_link_within, "link.key: No such file"),
        (torn_file_within, "shop.key: "),
    ],
)
def test_what_cannot_be_read_changes_nothing(
    gate: Gate, ring: KeyRing, fault: Callable[[Path], object], said: str
) -> None:
    with fault(ring.files.clients), pytest.raises(KeyFileError, match=said):  # type: ignore[attr-defined]
        gate.reload()

    assert allowed(gate, ring) == ["admin", "shop"]


@pytest.mark.parametrize("fault", [too_many_files, file_instead, pipe_within])
def test_a_start_says_what_cannot_be_read(ring: KeyRing, fault: Callable[[Path], object]) -> None:
    with fault(ring.files.clients), pytest.raises(KeyFileError):  # type: ignore[attr-defined]
        Gate(ring.files)


def reload_line(gate: Gate, caplog: pytest.LogCaptureFixture) -> tuple[str, dict[str, Any]]:
    """Reads the keys again; returns the level and what the line says of the changes."""
    caplog.clear()
    with caplog.at_level("INFO", "timer_server"):
        gate.reload()
    (record,) = caplog.records
    assert record.getMessage() == "keys read"
    said = vars(record)["fields"]
    always = ("clients", "servers", "bound", "limited", "folder")
    return record.levelname, {name: said[name] for name in said if name not in always}


def test_a_reload_says_which_keys_came_went_and_changed(
    gate: Gate, ring: KeyRing, caplog: pytest.LogCaptureFixture
) -> None:
    assert reload_line(gate, caplog) == ("INFO", {})
    ring.add("new")
    ring.remove("admin")
    ring.bind("shop", "shop/2/")
    assert reload_line(gate, caplog) == ("INFO", {"added": ["new"], "removed": ["admin"], "changed": ["shop"]})
    ring.bind("shop", "shop/2/", max_timers=5)
    assert reload_line(gate, caplog) == ("INFO", {"changed": ["shop"]})
    assert reload_line(gate, caplog) == ("INFO", {})


def test_another_share_is_a_change_for_which_nobody_has_to_be_cut(gate: Gate, ring: KeyRing) -> None:
    ring.bind("shop", "shop/", max_timers=5)
    ring.add("second", "shop/", max_timers=3)
    ring.add("third", "shop/")
    ring.add("within", "shop/eu/", max_timers=4)

    assert gate.shares() == {}
    assert not gate.reload()
    assert gate.shares() == {"shop/": 3, "shop/eu/": 4}  # of what the keys of one prefix say, the least


def test_another_folder_with_fewer_keys_in_it_is_a_warning(
    gate: Gate, ring: KeyRing, caplog: pytest.LogCaptureFixture
) -> None:
    clients = ring.files.clients
    clients.rename(clients.with_name("mounted"))
    shutil.copytree(clients.with_name("mounted"), clients)
    assert reload_line(gate, caplog) == ("INFO", {})

    shutil.rmtree(clients.with_name("mounted"))
    clients.rename(clients.with_name("mounted"))
    clients.mkdir()
    (clients.with_name("mounted") / "shop.key").rename(clients / "shop.key")
    level, said = reload_line(gate, caplog)
    assert (level, said["removed"]) == ("WARNING", ["admin"])
    assert said["help"] == "another folder is in the place of the one read before"


def test_of_many_keys_the_first_are_named(gate: Gate, ring: KeyRing, caplog: pytest.LogCaptureFixture) -> None:
    for number in range(60):
        ring.add(f"many{number:02}")
    added = reload_line(gate, caplog)[1]["added"]
    assert (added[:2], added[-1], len(added)) == (["many00", "many01"], "… and 10 more", 51)


def test_the_last_key_can_be_taken_away(gate: Gate, ring: KeyRing) -> None:
    ring.remove("admin")
    ring.remove("shop")

    assert gate.reload()
    assert allowed(gate, ring) == []
