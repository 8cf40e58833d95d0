"""A copy of the store that is put back: who had seen more than it holds is told so, and nobody else."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from drivers.peers import requester
from drivers.server_process import ServerEnded, ServerProcess, timer_server

STORE = "timers.db"


class Operator:
    """One who copies the store of a server, lets it go on, and puts the copy back."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.server = ServerProcess(folder)

    def serve(self, *timer_ids: str) -> dict[str, int]:
        """Starts these timers on a server that ends again; returns the cursor of a reader who has seen everything."""
        with self.server, requester(self.server.commands) as rpc:
            for timer_id in timer_ids:
                rpc.call("timer.start", id=timer_id, hours=1)
            page = rpc.call("events.read", after={})
            assert self.server.terminate() == 0
        return dict(page["next"])

    def read(self, *cursors: dict[str, int]) -> list[dict[str, Any]]:
        """What readers with these cursors get from the server."""
        with self.server, requester(self.server.commands) as rpc:
            return [rpc.call("events.read", after=cursor) for cursor in cursors]

    def copy(self) -> None:
        shutil.copy(self.folder / STORE, self.folder / "copy")

    def put_back(self) -> None:
        shutil.copy(self.folder / "copy", self.folder / STORE)


@pytest.fixture
def operator(tmp_path: Path) -> Operator:
    return Operator(tmp_path)


def seqs(page: dict[str, Any]) -> list[int]:
    return [event["seq"] for event in page["events"]]


def test_readers_of_a_restored_store_go_on_in_the_new_log(operator: Operator) -> None:
    ((old, two),) = operator.serve("kept/1", "kept/2").items()
    assert two == 2
    operator.copy()
    assert operator.serve("lost/3", "lost/4") == {old: 4}
    operator.put_back()

    told = timer_server("restored", folder=operator.folder)
    assert (told.returncode, told.stderr) == (0, "")
    ((new, _),) = operator.serve("new/3").items()
    assert new != old
    assert told.stdout == f"log {old} goes on as {new} after event 2; the server may be started\n"

    beyond, at_the_copy, below, new_reader = operator.read({old: 4}, {old: 2}, {old: 1}, {})
    for page, expected, truncated in (
        (beyond, [3], True),
        (at_the_copy, [3], False),
        (below, [2, 3], False),
        (new_reader, [1, 2, 3], False),
    ):
        assert (seqs(page), page["next"], page["truncated"]) == (expected, {new: 3}, truncated)
        assert {event["log"] for event in page["events"]} == {new}


def test_a_store_can_be_restored_again_and_remembers_all_its_ancestors(operator: Operator) -> None:
    ((first, _),) = operator.serve("a").items()
    assert timer_server("restored", folder=operator.folder).returncode == 0
    ((second, _),) = operator.serve("b").items()
    assert timer_server("restored", folder=operator.folder).returncode == 0
    ((third, _),) = operator.serve("c").items()

    assert len({first, second, third}) == 3
    pages = operator.read({first: 1}, {first: 2}, {second: 2}, {second: 3})
    assert [(seqs(page), page["truncated"]) for page in pages] == [
        ([2, 3], False),
        ([2, 3], True),
        ([3], False),
        ([3], True),
    ]


def test_a_copy_is_refused_until_the_loss_is_accepted_and_keeps_its_id_where_the_mark_is_removed(
    operator: Operator,
) -> None:
    ((old, _),) = operator.serve("kept/1").items()
    operator.copy()
    operator.serve("lost/2", "lost/3")
    operator.put_back()

    with pytest.raises(ServerEnded, match=r"\(entry 1\), but .* had been acknowledged"):
        operator.server.start()
    (operator.folder / f"{STORE}-mark").unlink()

    (beyond,) = operator.read({old: 3})
    assert (seqs(beyond), beyond["next"], beyond["truncated"]) == ([], {old: 1}, True)


def test_there_has_to_be_a_store(operator: Operator) -> None:
    nothing = timer_server("restored", folder=operator.folder)
    assert (nothing.returncode, nothing.stdout, nothing.stderr.count("\n")) == (1, "", 1)
    assert list(operator.folder.iterdir()) == []
    memory = timer_server("restored", folder=operator.folder, TIMER_STORE="memory:")
    assert (memory.returncode, memory.stdout, memory.stderr.count("\n")) == (2, "", 1)


def test_a_store_that_is_in_use_is_left_alone(operator: Operator) -> None:
    with operator.server, requester(operator.server.commands) as rpc:
        rpc.call("timer.start", id="a", hours=1)
        refused = timer_server("restored", folder=operator.folder)
        assert refused.returncode == 1
        assert "another timer-server has it open" in refused.stderr
        before = rpc.log()
    assert operator.serve().keys() == {before}
