"""Programs of a benchmark run in groups of the weights that deploy/ gives, or in none where the machine has none."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from bench import control_groups
from bench.control_groups import GATEWAY, SERVER, group, shares

OF_VERSION_1 = "4:memory:/mine\n1:cpu,cpuacct:/mine\n0::/mine\n"


def test_shares_are_the_same_weight_in_other_units() -> None:
    assert (shares(SERVER), shares(GATEWAY)) == (4_096, 256)


def test_none_where_there_is_none(tmp_path: Path) -> None:
    for own in ("", OF_VERSION_1, "0::/mine\n", "5:cpuset:/\n"):
        with group(SERVER, tmp_path, own) as within:
            assert within == ()
    assert list(tmp_path.iterdir()) == []


def test_none_where_a_group_has_no_weight(tmp_path: Path) -> None:
    (tmp_path / "cpu" / "mine").mkdir(parents=True)
    with group(SERVER, tmp_path, OF_VERSION_1) as within:
        assert within == ()
    assert list((tmp_path / "cpu" / "mine").iterdir()) == []


PLACES = [
    (OF_VERSION_1, "cpu/mine", "cpu.shares", "4096"),
    ("0::/slice/mine\n", "slice", "cpu.weight", "400"),
    ("0::/\n", "", "cpu.weight", "400"),
]


@pytest.mark.parametrize(("own", "parent", "name", "written"), PLACES)
def test_where_it_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own: str, parent: str, name: str, written: str
) -> None:
    (tmp_path / parent).mkdir(parents=True, exist_ok=True)
    (tmp_path / "cgroup.controllers").touch()

    def as_the_kernel_does(folder: Path) -> None:
        os.mkdir(folder)  # noqa: PTH102 - Path's own is replaced
        (folder / name).touch()

    def as_the_kernel_removes(folder: Path) -> None:
        shutil.rmtree(folder)

    monkeypatch.setattr(Path, "mkdir", as_the_kernel_does)
    monkeypatch.setattr(Path, "rmdir", as_the_kernel_removes)
    with group(SERVER, tmp_path, own) as within:
        folder = Path(within[-1])
        assert folder.parent == tmp_path / parent
        assert (folder / name).read_text() == written
    assert not folder.exists()


def test_a_program_runs_in_it() -> None:
    with group(SERVER) as within:
        if not within:
            pytest.skip("this machine lets nobody make a control group with a weight")
        where = Path(within[-1])
        inside = subprocess.run([*within, "cat", "/proc/self/cgroup"], capture_output=True, text=True, check=True)
        assert where.name in inside.stdout
    assert not where.exists()
    assert control_groups.MOUNTED_AT in where.parents
