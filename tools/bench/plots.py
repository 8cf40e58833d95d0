"""The plots of the docs, as SVG that comes out the same from the same figures."""

import math
from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas

from bench.results import Figure, Results, Row

OURS, PEER, WEAKER = "#1f6f8b", "#c96f2e", "#e8c9a8"
BEFORE_THE_REPLY = "fsync before the reply"
SHOWN_PERCENTS = (50, 90, 99, 99.9, 99.99)
_LAST_PERCENT = 99.99

mpl.rcParams.update(
    {
        "svg.hashsalt": "timer",
        "svg.fonttype": "none",
        "font.size": 10,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "axes.axisbelow": True,
        "grid.color": "#dddddd",
        "legend.frameon": False,
    }
)


def draw(results: Results, folder: Path) -> None:
    """Draws all plots that the run has figures for."""
    folder.mkdir(parents=True, exist_ok=True)
    figures = {figure.name: figure for figure in results.figures}
    if "starts" in figures and "concurrent" in figures:
        _save(starts(figures["starts"], figures["concurrent"]), folder / "starts.svg")
    if "lateness" in figures:
        _save(lateness(figures["lateness"]), folder / "lateness.svg")
    if "growth" in figures:
        _save(growth(figures["growth"]), folder / "growth.svg")


def starts(batched: Figure, concurrent: Figure) -> Canvas:
    """Bars of durable starts a second."""
    panels = [("in batches", _durable(batched)), ("50 clients, one request a message", _durable(concurrent))]
    canvas = Canvas(figsize=(9, 0.3 * sum(len(rows) for _, rows in panels) + 2), layout="constrained")
    heights = [len(rows) for _, rows in panels]
    for axes, (title, rows) in zip(canvas.subplots(2, 1, height_ratios=heights), panels, strict=True):
        _bars(axes, title, rows)
    handles = [mpl.patches.Patch(color=colour) for colour in (OURS, PEER, WEAKER)]
    labels = ("timer server, fsync before the reply", "peer, fsync before the reply", "peer, fsync now and then")
    canvas.legend(handles, labels, loc="outside lower center", ncols=3)
    return canvas


def lateness(figure: Figure) -> Canvas:
    """Percentiles of lateness, stretched towards the end."""
    canvas = Canvas(figsize=(9, 5.5), layout="constrained")
    axes = canvas.subplots()
    for place, curve in enumerate(figure.curves):
        points = [(_stretched(x), y) for x, y in zip(curve.xs, curve.ys, strict=True) if x <= _LAST_PERCENT]
        dashes = "-" if "pending" in curve.label and "Redis" not in curve.label else "--"
        axes.plot([x for x, _ in points], [y for _, y in points], dashes, color=f"C{place}", label=curve.label)
    axes.set_yscale("log")
    axes.set_xticks([_stretched(percent) for percent in SHOWN_PERCENTS], [f"{percent} %" for percent in SHOWN_PERCENTS])
    axes.set_xlabel("part of the timers that were heard at most so late")
    axes.set_ylabel("lateness, ms")
    canvas.legend(loc="outside lower center", ncols=2)
    return canvas


def growth(figure: Figure) -> Canvas:
    """Costs relative to those with few timers pending."""
    canvas = Canvas(figsize=(9, 4.5), layout="constrained")
    axes = canvas.subplots()
    for curve in figure.curves:
        axes.plot(curve.xs, curve.ys, "o-", label=curve.label)
    axes.axhline(1.3, color="#999999", linestyle=":", label="aim")
    axes.set_xscale("log")
    axes.set_ylim(bottom=0)
    axes.set_xlabel("timers pending")
    axes.set_ylabel("cost, relative to the one at the left")
    axes.legend()
    return canvas


def _durable(figure: Figure) -> list[Row]:
    limits = {row.limit for row in figure.rows}
    return [row for row in figure.rows if row.durability != "none" and row.name not in limits]


def _bars(axes: Axes, title: str, rows: Sequence[Row]) -> None:
    names = [_name(row) for row in rows]
    values = [row.median for row in rows]
    bars = axes.barh(names, values, color=[_colour(row) for row in rows])
    axes.bar_label(bars, [f"{value:,.0f}" for value in values], padding=3)
    axes.invert_yaxis()
    axes.margins(x=0.12)
    axes.grid(visible=False, axis="y")
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.set_xlabel("starts a second")
    axes.set_title(title, loc="left")


def _is_ours(row: Row) -> bool:
    return not row.name.startswith(("Redis", "beanstalkd"))


def _name(row: Row) -> str:
    return f"timer server: {row.name}" if _is_ours(row) else row.name


def _colour(row: Row) -> str:
    if _is_ours(row):
        return OURS
    return PEER if row.durability == BEFORE_THE_REPLY else WEAKER


def _stretched(percent: float) -> float:
    return -math.log10(1 - percent / 100)


def _save(canvas: Canvas, path: Path) -> None:
    canvas.savefig(path, format="svg", metadata={"Date": None, "Creator": None})
    path.write_text("\n".join(line.rstrip() for line in path.read_text().splitlines()) + "\n")
