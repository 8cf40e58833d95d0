"""Repetitions take turns, and the command line says what there is."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bench import __main__ as program
from bench.figures import FIGURES
from bench.options import parsed
from bench.results import Figure, load
from bench.run import Run


def test_alternatives_take_turns() -> None:
    order: list[str] = []

    def way(name: str) -> dict[str, float]:
        order.append(name)
        return {name: float(len(order))}

    samples = Run(repeats=2).interleaved([lambda: way("ours"), lambda: way("limit")])
    assert order == ["ours", "limit", "ours", "limit"]
    assert samples == {"ours": [1.0, 3.0], "limit": [2.0, 4.0]}


def test_figures_can_be_picked() -> None:
    options = parsed(["growth", "starts", "--repeats", "5"])
    assert options.figures == ["growth", "starts"]
    assert options.repeats == 5


@pytest.mark.parametrize("arguments", [["speed"], ["--repeats", "0"]])
def test_what_is_wrong_is_refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        parsed(arguments)
    assert "there is no figure 'speed'" in (said := capsys.readouterr().err) or "at least one" in said


def test_all_is_what_every_run_has_and_what_is_apart(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    measured: list[tuple[str, int]] = []

    def noting(name: str) -> Callable[[Run], Figure]:
        def note(run: Run) -> Figure:
            measured.append((name, run.repeats))
            return Figure(name, name, [])

        return note

    monkeypatch.setattr(program, "FIGURES", {"speed": noting("speed")})
    monkeypatch.setattr(program, "APART", {"takeover": noting("takeover")})
    monkeypatch.setattr(program, "conditions", lambda _: {"cores": "2"})
    monkeypatch.setattr(sys, "argv", ["bench", "--all", "--repeats-apart", "1", "--output", str(tmp_path / "run.json")])
    assert program.main() == 0
    assert measured == [("speed", 3), ("takeover", 1)]
    assert [figure.name for figure in load(tmp_path / "run.json").figures] == ["speed", "takeover"]


def test_help_names_all_figures(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        parsed(["--help"])
    shown = capsys.readouterr().out
    assert all(name in shown for name in FIGURES)
