"""What the command suggests to a shell that completes a line."""

from pathlib import Path

import pytest

from client.command import run, start_detached
from local_server import LocalServer


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts(tmp_path: Path, shell: str) -> None:
    ran = run(tmp_path, "completion", shell)
    assert ran.returncode == 0
    assert f"_TIMER_COMPLETE={shell}_complete" in ran.stdout


def test_completion_knows_commands_ids_queues_and_plans(server: LocalServer, tmp_path: Path) -> None:
    start_detached(tmp_path, server, "1h", "--id", "order/42", "--label", "tea")
    run(tmp_path, "every", "1h", "--id", "drink", server=server)
    run(tmp_path, "queue", "put", "orders", "--prefix", "order/", server=server)

    def completed(line: str) -> list[str]:
        words = line.split(" ")
        variables = {"_TIMER_COMPLETE": "bash_complete", "COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)}
        return run(tmp_path, server=server, **variables).stdout.split()

    assert completed("timer re") == ["plain,resume", "plain,restart"]
    assert completed("timer watch ord") == ["plain,order/42"]
    assert "plain,--detach" in completed("timer start --de")
    assert completed("timer queue sh") == ["plain,show"]
    assert completed("timer queue show or") == ["plain,orders"]
    assert completed("timer plan show dr") == ["plain,drink"]


def test_completion_without_a_server_suggests_nothing(tmp_path: Path) -> None:
    ran = run(tmp_path, _TIMER_COMPLETE="bash_complete", COMP_WORDS="timer watch o", COMP_CWORD="2")
    assert ran.stdout.strip() == ""
    assert "Traceback" not in ran.stderr


def test_labels_of_others_reach_no_completion_raw(server: LocalServer, tmp_path: Path) -> None:
    start_detached(tmp_path, server, "1h", "--id", "order/42", "--label", "tea\x1b[2J\nrm")
    variables = {"_TIMER_COMPLETE": "zsh_complete", "COMP_WORDS": "timer watch o", "COMP_CWORD": "2"}
    shown = run(tmp_path, server=server, **variables).stdout
    assert "order/42" in shown
    assert "\x1b" not in shown
    assert len(shown.splitlines()) == 3
