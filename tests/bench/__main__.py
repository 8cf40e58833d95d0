"""`make bench`: figures of a real server process on this machine, each beside its limit from the same run."""

import sys
import time
import traceback
from datetime import UTC, datetime
from pathlib import Path

TESTS = Path(__file__).parent.parent
sys.path[:0] = [str(TESTS), str(TESTS.parent / "services")]

from bench.conditions import conditions  # noqa: E402
from bench.figures import FIGURES  # noqa: E402
from bench.options import parsed  # noqa: E402
from bench.results import Results, save  # noqa: E402
from bench.run import Run, say  # noqa: E402
from bench.table import conditions_text, figure_text  # noqa: E402

RESULTS = Path("bench-results")


def measure(run: Run, names: list[str], path: Path) -> Results:
    """Measures one figure after the other, and shows and keeps each as soon as it is there."""
    results = Results(conditions(run), [])
    print(conditions_text(results.conditions), flush=True)
    for name in names:
        say(f"{name} ")
        begun = time.monotonic()
        try:
            figure = FIGURES[name](run)
        except Exception as error:  # one figure that fails leaves the others standing
            traceback.print_exc()
            results.failures.append(f"{name}: {type(error).__name__}: {error}")
        else:
            results.figures.append(figure)
            print(f"\n{figure_text(figure)}", flush=True)
        say(f"{name} took {time.monotonic() - begun:.0f} s\n")
        save(results, path)
    return results


def main() -> int:
    options = parsed()
    run = Run(options.repeats, options.quick, options.peers)
    path = options.output or RESULTS / f"{datetime.now(UTC):%Y-%m-%dT%H%M%S}.json"
    results = measure(run, options.figures or list(FIGURES), path)
    print(f"\n{path}")
    for failure in results.failures:
        print(f"failed: {failure}")
    return 1 if results.failures else 0


if __name__ == "__main__":
    sys.exit(main())
