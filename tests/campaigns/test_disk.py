"""The disk campaign would find a server that does not mind its disk."""

from pathlib import Path

import pytest

from campaigns.disk_files import killed_run, opening
from campaigns.disk_operations import RUN, STORE, strike
from campaigns.faulty_vfs import Unavailable, library


@pytest.fixture
def reachable_sqlite() -> None:
    """Skips where no fault can be put under SQLite."""
    try:
        library()
    except Unavailable as reason:
        pytest.skip(str(reason))


def test_a_server_that_swallows_a_failure_is_found_out(tmp_path: Path, reachable_sqlite: None) -> None:
    """By one operation that fails or by another: what the server does at each depends on how busy the machine is."""

    def is_found_out(at: int) -> bool:
        (folder := tmp_path / str(at)).mkdir()
        struck = strike(folder, RUN, "enospc", at=at, planted=True)
        assert struck.has_struck
        return any("acknowledged, and gone" in lost for lost in struck.lost)

    assert any(map(is_found_out, (60, 61, 75, 90)))


def test_a_file_that_lost_its_end_is_found_out_where_the_mark_is_gone(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    files, told = killed_run(tmp_path / "run")
    log = f"{STORE}-wal"
    cut = {STORE: files[STORE], log: files[log][: len(files[log]) // 2]}

    opened = opening(tmp_path / "unmarked", cut, told)
    assert not opened.is_refused
    assert opened.lost
    assert opening(tmp_path / "marked", {**files, **cut}, told).is_refused
