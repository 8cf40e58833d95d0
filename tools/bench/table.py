"""Tables of figures as Markdown that reads as well on a terminal."""

from collections.abc import Sequence

from bench.results import Figure, Results, Row
from bench.spread import half_range

HEAD = ("what", "median", "±", "unit", "of its limit", "aim", "durable by")


def number(value: float) -> str:
    """Three or more digits that count, whatever the size."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.3g}" if abs(value) < 0.1 else f"{value:.2f}"


def spread(row: Row) -> str:
    """Half the range in percent, or in the row's unit where it is more than the median; nothing for one repetition."""
    if len(row.samples) == 1:
        return ""
    part = half_range(row.samples)
    return f"{part:.0%}" if part <= 1 else f"{number(part * abs(row.median))} {row.unit}"


def cells(figure: Figure, row: Row) -> tuple[str, ...]:
    """One line of the table."""
    ratio = f"{row.median / figure.row(row.limit).median:.2f}" if row.limit else ""
    aims = "; ".join(f"{aim.text}: {'met' if aim.met else '**missed**'}" for aim in row.aims)
    return (row.name, number(row.median), spread(row), row.unit, ratio, aims, row.durability)


def markdown(lines: Sequence[Sequence[str]]) -> str:
    """A table whose columns are as wide as they need to be; the first line is its head."""
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    head, *rest = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |" for line in lines
    ]
    return "\n".join([head, "|" + "|".join("-" * (width + 2) for width in widths) + "|", *rest])


def figure_text(figure: Figure) -> str:
    """A heading, the table without the columns that it leaves empty, and the notes."""
    lines = [HEAD, *(cells(figure, row) for row in figure.rows)]
    used = [column for column in range(len(HEAD)) if any(line[column] for line in lines[1:])]
    table = markdown([[line[column] for column in used] for line in lines])
    return "\n\n".join([f"### {figure.title}", table, *figure.notes])


def conditions_text(conditions: dict[str, str]) -> str:
    """The machine, as a table."""
    return markdown([("condition", "value"), *conditions.items()])


def aims_text(results: Results) -> str:
    """All aims of a run, and whether each was met."""
    lines = [("figure", "what", "median", "unit", "aim", "met")]
    for figure in results.figures:
        for row in figure.rows:
            for aim in row.aims:
                met = "yes" if aim.met else "**no**"
                lines.append((figure.name, row.name, number(row.median), row.unit, aim.text, met))
    return markdown(lines)
