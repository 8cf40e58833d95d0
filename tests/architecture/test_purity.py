"""Who may know what: the core and the protocol do no I/O, one module reads the clock, one reads the environment."""

import tomllib
from collections.abc import Callable, Set
from pathlib import Path

import pytest

from architecture.reading import SERVICES, imports, modules, name_of, touched

ASK_OUTSIDE = {
    f"timer_protocol/{module}.py"
    for module in (
        "addresses",
        "descriptors",
        "environment",
        "key_pairs",
        "log_writer",
        "service_manager",
        "signal_death",
        "signs_of_life",
        "small_files",
        "standard_streams",
    )
}
LOG_LINES = "timer_protocol/log_lines.py"
TELL_DATES = ("timer_protocol/civil_clocks.py", LOG_LINES, "timer_protocol/written_moments.py")
"""Pure too, but in terms of the calendar."""

PURE = [
    *(module for module in modules("timer_protocol") if name_of(module) not in ASK_OUTSIDE.union(TELL_DATES)),
    SERVICES / "timer_server/limits.py",
    *modules("timer_server/core"),
    *modules("timer_server/cluster"),
    SERVICES / "timer_server/store/membership.py",
]
PURE_MODULES = {name_of(module).removesuffix(".py").removesuffix("/__init__").replace("/", ".") for module in PURE}
SERVER = modules("timer_server")
ALL = [
    *modules("timer_protocol"),
    *SERVER,
    *modules("timer_client"),
    *modules("timer_gateway"),
    *modules("timer_webhooks"),
]

FREE_OF_IO = {
    "array",
    "bisect",
    "collections",
    "collections.abc",
    "enum",
    "functools",
    "hashlib",
    "heapq",
    "itertools",
    "msgspec",
    "msgspec.structs",
    "operator",
    "re",
    "struct",
    "typing",
}
"""All that the pure packages need besides each other. Time, chance, files and sockets are not among it."""

MEASURING = {"time.perf_counter", "time.perf_counter_ns"}
"""They tell how long something took, never what time it is."""

OF_A_LOG_RECORD = {"datetime.datetime.fromtimestamp", "datetime.UTC"}
"""The time at which the standard library has made a record, as text."""

CALENDAR = {
    "datetime.UTC",
    "datetime.datetime",
    "datetime.datetime.fromisoformat",
    "datetime.timedelta",
    "datetime.tzinfo",
}
"""What civil time is told in. It is asked about moments that it is given, and never what time it is."""

CLOCK = "timer_server/loop/clock.py"
CLOCKS = {"time", "datetime", "calendar", "sched"}
ENVIRONMENT = {"os.environ", "os.environb", "os.getenv", "os.getenvb", "os.putenv", "dotenv.dotenv_values"}

KNOW_SQL = {
    f"timer_server/store/sqlite/{name}.py"
    for name in ("store", "set_up", "schema", "sentences", "copying", "backup_file")
}
"""How a row or the mark is made up, and what is checked, has nothing to do with SQL."""

KNOW_POSTGRES = {
    f"timer_server/store/postgres/{name}.py"
    for name in ("exchange", "loading", "membership", "session", "tables", "url")
}
"""They speak with libpq. What a commit writes, and what its rows say, is known without it."""

KNOW_NAME_SERVICE = {"timer_server/store/postgres/lookup.py"}

KNOW_FILE_SYSTEM = {f"timer_server/store/sqlite/{name}.py" for name in ("files", "mark", "room", "new_file")}
"""They ask the system about files and room, or write at a place, which is more than to read and write."""


def found_in(sources: list[Path], find: Callable[[str, str], Set[str]]) -> dict[str, Set[str]]:
    """What is found in each of the sources, given its name and its text, where anything is."""
    found = {name_of(source): find(name_of(source), source.read_text()) for source in sources}
    return {name: names for name, names in found.items() if names}


def clocks_read(source: str) -> set[str]:
    """What a source uses of the modules that tell the time."""
    found = {name for name in touched(source) if name.partition(".")[0] in CLOCKS and "." in name}
    return {name for name in found if not any(other.startswith(f"{name}.") for other in found)}


def environment_read(source: str) -> set[str]:
    """What a source uses of the process's environment, by whatever prefix."""
    if "env" not in source:  # as all of their names have it; reading takes a while
        return set()
    return {name for name in touched(source) if any(f"{name}.".startswith(f"{known}.") for known in ENVIRONMENT)}


def test_pure_modules_import_only_what_does_no_io() -> None:
    assert found_in(PURE, lambda _, source: imports(source) - FREE_OF_IO - PURE_MODULES) == {}


def test_the_contract_of_purity_names_all_of_the_protocol_but_what_asks_outside() -> None:
    contracts = tomllib.loads((SERVICES.parent / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    named = {module for contract in contracts for module in contract.get("source_modules", [])}

    assert {module for module in PURE_MODULES if module.startswith("timer_protocol.")} <= named


def test_stores_know_no_socket_and_no_clock() -> None:
    def known(module: str, source: str) -> set[str]:
        may_not = {"zmq", "socket", "time", "datetime", "random", "threading", "os"}
        if module in KNOW_NAME_SERVICE:
            may_not -= {"socket", "threading"}
        if module in KNOW_FILE_SYSTEM:
            may_not.remove("os")
        return imports(source) & may_not

    assert found_in(modules("timer_server/store"), known) == {}


def test_only_one_module_reads_the_clock() -> None:
    def read_besides(module: str, source: str) -> set[str]:
        if module == CLOCK:
            return set()
        if module == LOG_LINES:
            return clocks_read(source) - OF_A_LOG_RECORD - {"datetime.datetime"}
        is_civil = module.startswith("timer_server/civil_time/") or module in TELL_DATES
        return clocks_read(source) - (CALENDAR if is_civil else MEASURING)

    assert found_in([*SERVER, *(SERVICES / name for name in TELL_DATES)], read_besides) == {}
    assert {"time.time_ns", "time.clock_gettime_ns"} <= clocks_read((SERVICES / CLOCK).read_text())


def test_only_one_module_reads_the_environment() -> None:
    assert list(found_in(ALL, lambda _, source: environment_read(source))) == ["timer_protocol/environment.py"]


def test_only_the_store_knows_sql() -> None:
    def known(module: str, source: str) -> set[str]:
        imported = {name.partition(".")[0] for name in imports(source)}
        allowed = {"sqlite3"} if module in KNOW_SQL else {"psycopg"} if module in KNOW_POSTGRES else set()
        return imported & {"sqlite3", "psycopg"} - allowed

    assert found_in(SERVER, known) == {}


class TestTheReadingItself:
    @pytest.mark.parametrize(
        ("source", "read"),
        [
            ("import time\nx = time.time()", {"time.time"}),
            ("import time as t\nx = t.monotonic_ns", {"time.monotonic_ns"}),
            ("from time import time_ns", {"time.time_ns"}),
            ("def f():\n    from time import sleep as s\n    s(1)", {"time.sleep"}),
            ("import time\nx = time.perf_counter_ns() - time.time_ns()", {"time.perf_counter_ns", "time.time_ns"}),
            ("import datetime\ndatetime.datetime.now()", {"datetime.datetime.now"}),
            ("from datetime import datetime\ndatetime.now()", {"datetime.datetime.now"}),
            ("from datetime import UTC, datetime\ndatetime.fromtimestamp(0, UTC)", OF_A_LOG_RECORD),
            ("runtime = 1\ntimes = runtime", set()),
        ],
    )
    def test_finds_clocks(self, source: str, read: set[str]) -> None:
        assert clocks_read(source) == read

    @pytest.mark.parametrize(
        "source",
        [
            "import os\nos.environ['A']",
            "import os\nos.environ.get('A')",
            "from os import environ",
            "from os import getenv as g\ng('A')",
            "import os as system\nsystem.getenv('A')",
            "import dotenv\ndotenv.dotenv_values('.env')",
        ],
    )
    def test_finds_the_environment(self, source: str) -> None:
        assert environment_read(source)

    def test_leaves_the_rest_of_os_alone(self) -> None:
        assert environment_read("import os\nos.getpid()") == set()

    def test_finds_imports_wherever_they_stand(self) -> None:
        source = "import a.b\nif x:\n    from c.d import e\ndef f():\n    import g as h"

        assert imports(source) == {"a.b", "c.d", "g"}
