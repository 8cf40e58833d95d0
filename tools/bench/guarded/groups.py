"""All that the guard watches, in groups that are measured together."""

from bench.guarded import ends, on_postgres, over_http, pages, pending, starts, watchers
from bench.guarded.ratio import Measure
from drivers.postgres import postgres_fault

GROUPS: dict[str, Measure] = {
    "starts": starts.measured,
    "pages": pages.measured,
    "watchers": watchers.measured,
    "pending": pending.measured,
    "herd": ends.herds,
    "queues": ends.of_queues,
    "plans": ends.of_plans,
    "gateway": over_http.measured,
}

NEEDS_POSTGRES: dict[str, Measure] = {"postgres": on_postgres.measured}


def groups() -> dict[str, Measure]:
    """Those that this machine has the programs for."""
    return {**GROUPS, **(NEEDS_POSTGRES if postgres_fault() is None else {})}
