"""What a run found: rows of figures with their repetitions, limits and aims; kept as JSON."""

from pathlib import Path

import msgspec

from bench.spread import median


class Aim(msgspec.Struct, frozen=True):
    """What a figure is meant to reach, and whether it did."""

    text: str
    met: bool


class Row(msgspec.Struct):
    """One figure, with one value for each repetition. `limit` names the row of the same table that bounds it."""

    name: str
    unit: str
    samples: list[float]
    limit: str = ""
    durability: str = ""
    aims: list[Aim] = []

    @property
    def median(self) -> float:
        """The repetition in the middle."""
        return median(self.samples)


class Curve(msgspec.Struct, frozen=True):
    """A line of a plot."""

    label: str
    xs: list[float]
    ys: list[float]


class Figure(msgspec.Struct):
    """What belongs into one table."""

    name: str
    title: str
    rows: list[Row]
    notes: list[str] = []
    curves: list[Curve] = []

    def row(self, name: str) -> Row:
        """The row of that name. Raises KeyError."""
        for row in self.rows:
            if row.name == name:
                return row
        raise KeyError(name)


class Results(msgspec.Struct):
    """A whole run."""

    conditions: dict[str, str]
    figures: list[Figure]
    failures: list[str] = []


def save(results: Results, path: Path) -> None:
    """Writes a run as JSON that can be read and compared."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(msgspec.json.format(msgspec.json.encode(results), indent=1) + b"\n")


def load(path: Path) -> Results:
    """Reads a run. Raises msgspec.ValidationError where it is none."""
    return msgspec.json.decode(path.read_bytes(), type=Results)


def at_least(text: str, value: float, bound: float) -> Aim:
    """An aim that is met from `bound` upwards."""
    return Aim(f"≥ {text}", value >= bound)


def at_most(text: str, value: float, bound: float) -> Aim:
    """An aim that is met up to `bound`."""
    return Aim(f"≤ {text}", value <= bound)
