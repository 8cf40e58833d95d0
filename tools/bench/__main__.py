"""`make bench`: figures of a real server process on this machine, each beside its limit from the same run."""

import signal
import sys
import time
import traceback
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from bench.conditions import conditions
from bench.figures import APART, FIGURES
from bench.guard import guard
from bench.options import parsed
from bench.results import Results, load, save
from bench.run import Run, say
from bench.table import aims_text, conditions_text, figure_text

RESULTS = Path("bench-results")


def measure(run: Run, apart: Run, names: list[str], path: Path) -> Results:
    """Measures one figure after the other, and shows and keeps each as soon as it is there.

    `apart` is how those are measured that are apart from the others.
    """
    results = Results(conditions(run), [])
    print(conditions_text(results.conditions), flush=True)
    for name in names:
        say(f"{name} ")
        begun = time.monotonic()
        try:
            figure = FIGURES[name](run) if name in FIGURES else APART[name](apart)
        except Exception as error:  # one figure that fails leaves the others standing
            traceback.print_exc()
            results.failures.append(f"{name}: {type(error).__name__}: {error}")
        else:
            results.figures.append(figure)
            print(f"\n{figure_text(figure)}", flush=True)
        say(f"{name} took {time.monotonic() - begun:.0f} s\n")
        save(results, path)
    return results


def rewrite_the_document(path: Path) -> int:
    """Puts a run that was kept into the docs."""
    from bench.document import PAGE, document  # noqa: PLC0415 - the plots need what only this and peers need
    from bench.plots import draw  # noqa: PLC0415

    document(load(path), draw)
    print(f"{PAGE.name} shows {path}")
    return 0


def main() -> int:
    options = parsed()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # servers are ended on the way out
    if options.document:
        return rewrite_the_document(options.document)
    if options.guard:
        return guard()
    run = Run(options.repeats, options.quick, options.peers)
    apart = replace(run, repeats=options.repeats_apart or options.repeats)
    path = options.output or RESULTS / f"{datetime.now(UTC):%Y-%m-%dT%H%M%S}.json"
    names = [*FIGURES, *APART] if options.all else options.figures or list(FIGURES)
    results = measure(run, apart, names, path)
    print(f"\n### Aims\n\n{aims_text(results)}\n\n{path}")
    for failure in results.failures:
        print(f"failed: {failure}")
    return 1 if results.failures else 0


if __name__ == "__main__":
    sys.exit(main())
