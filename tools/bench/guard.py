"""`make bench ARGS=--guard`: has anything become much slower? Ratios within one run, so a slow machine is no fault.

They are ratios of processor time, in which other work on the machine is not counted, but for memory. Each is the
median of some repetitions, and the floors are a third to a half of what is usual: what falls below is a mistake, not a
bad day.
"""

import time
import traceback
from collections.abc import Mapping

from bench.guarded.groups import NEEDS_POSTGRES, groups
from bench.guarded.ratio import Measure, Ratios
from bench.run import say

ATTEMPTS = 3


def fallen(ratios: Ratios) -> list[str]:
    """A sentence for each ratio that is below its floor."""
    return [
        f"{ratio.name}: {value:.3f}, which is below {ratio.floor}"
        for ratio, value in ratios.items()
        if value < ratio.floor
    ]


def attempt(name: str, measure: Measure) -> list[str]:
    """Measures a group and shows it; a sentence for each ratio that has fallen, or for what went wrong."""
    begun_s = time.monotonic()
    try:
        ratios = measure()
    except Exception as error:  # one group that fails leaves the others standing
        traceback.print_exc()
        return [f"{name}: {type(error).__name__}: {error}"]
    for ratio, value in ratios.items():
        print(f"{ratio.name}: {value:.3f} (at least {ratio.floor})", flush=True)
    say(f"{name} took {time.monotonic() - begun_s:.0f} s\n")
    return fallen(ratios)


def guard(measures: Mapping[str, Measure] | None = None) -> int:
    """The exit code: 0 where each group has all its ratios above their floors in one attempt."""
    left = groups() if measures is None else dict(measures)
    if measures is None and not NEEDS_POSTGRES.keys() <= left.keys():
        print("PostgreSQL is not installed: forwards are left out")
    sentences: list[str] = []
    for number in range(1, ATTEMPTS + 1):
        found = {name: attempt(name, measure) for name, measure in left.items()}
        left = {name: measure for name, measure in left.items() if found[name]}
        sentences = [sentence for name in left for sentence in found[name]]
        if not left:
            return 0
        say(f"attempt {number} of {ATTEMPTS} fell short: {', '.join(left)}\n")
    for sentence in sentences:
        print(f"fell too low in each of {ATTEMPTS} attempts: {sentence}")
    return 1
