"""Files of settings and keys that would hold a program up are refused with a sentence, whatever they are."""

import os
from pathlib import Path

import pytest

from timer_protocol.environment import read_environment
from timer_protocol.key_pairs import KeyFileError, read_key
from timer_protocol.settings import SettingError
from timer_protocol.small_files import read_small_file


@pytest.fixture(params=["pipe", "device", "large"])
def file(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A file from which reading would not end, or not soon. It can be read as the settings and as a key."""
    path = tmp_path / ".env"
    if request.param == "pipe":
        os.mkfifo(path)
    elif request.param == "device":
        path.symlink_to("/dev/zero")
    else:
        with path.open("wb") as file:
            file.truncate(2**40)  # takes no room
    return path


def test_it_is_no_key(file: Path) -> None:
    with pytest.raises(
        KeyFileError, match=r"cannot read the key file .*: it is (a FIFO|a device|larger than \d+ bytes)"
    ):
        read_key(file)


def test_it_has_no_settings(file: Path) -> None:
    with pytest.raises(SettingError, match=r"cannot be read: it is (a FIFO|a device|larger than \d+ bytes)"):
        read_environment(file.parent, {})


def test_nothing_stays_open_of_what_is_refused(tmp_path: Path) -> None:
    before = len([*Path("/dev/fd").iterdir()])
    with pytest.raises(OSError, match="it is a folder, and has to be a file"):
        read_small_file(tmp_path)
    assert len([*Path("/dev/fd").iterdir()]) == before


def test_what_is_small_is_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "small"
    path.write_bytes(b"x" * 100_000)
    assert read_small_file(path) == b"x" * 100_000
