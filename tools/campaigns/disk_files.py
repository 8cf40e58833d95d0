"""Files that come back from the disk other than they were written: the server refuses them, or has every timer."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import NamedTuple

from campaigns.disk_operations import RUN, STORE
from campaigns.disk_script import Told, all_timers, script
from drivers.file_damage import Damaged, cuts, flips, used_part
from drivers.server_process import ServerEnded, ServerProcess


class Opening(NamedTuple):
    """How a server took damaged files: refused, or with what was lost and what else was wrong."""

    is_refused: bool
    lost: list[str]
    wrong: list[str]


def killed_run(folder: Path) -> tuple[dict[str, bytes], Told]:
    """The files of a server that was killed after the whole script, without spare room, and what it had told."""
    told = Told(RUN.make(folder))
    with ServerProcess(folder) as server:
        wrong = told.play(server.commands, script(), lambda: server.has_ended)
    assert not wrong
    assert not told.in_doubt
    return {file.name: used_part(file.name, file.read_bytes()) for file in folder.glob(f"{STORE}*")}, told


def damages(files: dict[str, bytes], dice: Random, count: int) -> Iterator[tuple[str, Damaged]]:
    """Flips and cuts of the database and of its write-ahead log, `count` of each, with the file's name."""
    for name in (STORE, f"{STORE}-wal"):
        for damage in (flips, cuts):
            made = list(damage(files[name], dice, count))
            yield from ((name, damaged) for damaged in dice.sample(made, count))


def opening(folder: Path, files: dict[str, bytes], told: Told) -> Opening:
    """Starts a server on files and compares."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name, content in files.items():
        (folder / name).write_bytes(content)
    server = ServerProcess(folder)
    try:
        server.start()
        found = all_timers(server.commands)
        return Opening(is_refused=False, lost=told.lost(found), wrong=told.unasked(found))
    except ServerEnded:
        return Opening(is_refused=True, lost=[], wrong=_wrong_about_the_refusal(server))
    finally:
        server.kill()


def _wrong_about_the_refusal(server: ServerProcess) -> list[str]:
    """It is one sentence that names the file, and exit code 1."""
    exit_code, said = server.wait(), [line["event"] for line in server.lines]
    if exit_code == 1 and len(said) == 1 and said[0].startswith("timer-server: ") and STORE in said[0]:
        return []
    return [f"refused with exit code {exit_code} and {said}"]
