"""The command line of the benchmark."""

import argparse
from pathlib import Path

from bench.figures import APART, FIGURES

DESCRIPTION = """\
Measures a timer server in a process of its own, over real sockets, with its store on the disk of the current directory.
Each figure is repeated, and stands beside its limit from the same run: the same work without the server.
"""

EXAMPLES = """\
figures: {figures}

make bench                                     all figures
make bench ARGS="starts lateness --repeats 5"  some of them, more often
make bench ARGS=--quick                        small sizes: does it work at all
make bench ARGS=--guard                        ratios against floors, a minute; exit 1 where one fell
make bench-peers ARGS=starts                   beside Redis, beanstalkd and APScheduler
make bench-peers ARGS=--all                    the whole page, an hour; ARGS="--all --repeats-apart 1" half of it
"""


def parser() -> argparse.ArgumentParser:
    """What can be said."""
    made = argparse.ArgumentParser(
        "make bench",
        description=DESCRIPTION,
        epilog=EXAMPLES.format(figures=", ".join([*FIGURES, *APART])),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument(
        "figures", nargs="*", metavar="FIGURE", help=f"which figures; without one all but {', '.join(APART)}"
    )
    made.add_argument("--repeats", type=_positive, default=3, metavar="N", help="repetitions of each figure (3)")
    made.add_argument("--all", action="store_true", help=f"also {', '.join(APART)}")
    made.add_argument(
        "--repeats-apart", type=_positive, metavar="N", help="repetitions of those, if others than of the rest"
    )
    made.add_argument("--quick", action="store_true", help="small sizes; the figures are no measure of anything")
    made.add_argument("--peers", action="store_true", help="measure the peers too, in the same run")
    made.add_argument("--guard", action="store_true", help="only compare ratios within one run against their floors")
    made.add_argument("--output", type=Path, metavar="FILE", help="where the JSON goes (bench-results/<time>.json)")
    made.add_argument("--document", type=Path, metavar="FILE", help="measure nothing; put this JSON in the docs")
    return made


def parsed(arguments: list[str] | None = None) -> argparse.Namespace:
    """The arguments; ends the program where a figure is unknown."""
    made = parser()
    options = made.parse_args(arguments)
    unknown = [name for name in options.figures if name not in {**FIGURES, **APART}]
    if unknown:
        made.error(f"there is no figure {unknown[0]!r}; there are {', '.join([*FIGURES, *APART])}")
    return options


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("at least one repetition is needed")
    return number
