"""A folder of keys that cannot be read takes nobody's key away, neither does a file in it."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

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
        (pipe_within, "pipe.key: it is no ordinary file"),
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


def test_the_last_key_can_be_taken_away(gate: Gate, ring: KeyRing) -> None:
    ring.remove("admin")
    ring.remove("shop")

    assert gate.reload()
    assert allowed(gate, ring) == []
