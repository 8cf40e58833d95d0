"""The table of transitions: complete, and exactly what the engine does."""

from collections.abc import Callable
from itertools import product
from typing import get_args

import pytest

from drivers.builders import BEGIN_NS, NS_PER_S, Bench
from timer_protocol.errors import Refusal
from timer_protocol.messages import (
    ENDED,
    CancelParams,
    EventKind,
    ExtendParams,
    PauseParams,
    RestartParams,
    ResumeParams,
    State,
)
from timer_server.core.transitions import TRANSITIONS, Change, Refuse, Request, Unchanged, state_diagram

STATES = ("absent", *get_args(State))
REQUESTS = get_args(Request)

LATER_NS = BEGIN_NS + NS_PER_S
"""When the request comes: in the middle of a minute, so that nothing is due."""

INTO: dict[str, Callable[[Bench], object]] = {
    "absent": lambda _: None,
    "running": lambda bench: bench.start(),
    "paused": lambda bench: (bench.start(), bench.ask(PauseParams("a"))),
    "fired": lambda bench: (bench.start(now_ns=BEGIN_NS - 100 * NS_PER_S), bench.engine.expire(BEGIN_NS, 1)),
    "cancelled": lambda bench: (bench.start(), bench.ask(CancelParams("a"))),
}
ASK: dict[str, Callable[[Bench], object]] = {
    "start": lambda bench: bench.start(now_ns=LATER_NS),
    "pause": lambda bench: bench.ask(PauseParams("a"), LATER_NS),
    "resume": lambda bench: bench.ask(ResumeParams("a"), LATER_NS),
    "cancel": lambda bench: bench.ask(CancelParams("a"), LATER_NS),
    "extend": lambda bench: bench.ask(ExtendParams("a", seconds=1), LATER_NS),
    "restart": lambda bench: bench.ask(RestartParams("a"), LATER_NS),
    "expire": lambda bench: bench.engine.expire(BEGIN_NS + 100 * NS_PER_S, 10),
}


def state_of(bench: Bench) -> str:
    try:
        return bench.get(now_ns=LATER_NS).state
    except Refusal:
        return "absent"


def test_table_has_every_request_in_every_state() -> None:
    assert set(TRANSITIONS) == set(product(STATES, REQUESTS))
    assert set(INTO) == set(STATES)
    assert set(ASK) == set(REQUESTS)


@pytest.mark.parametrize(("state", "request_name"), list(product(STATES, REQUESTS)))
def test_engine_does_what_the_table_says(state: str, request_name: str) -> None:
    bench = Bench()
    INTO[state](bench)
    bench.commit()
    assert state_of(bench) == state
    transition = TRANSITIONS[state, request_name]  # type: ignore[index]  # any of the product is there

    if isinstance(transition, Refuse):
        with pytest.raises(Refusal) as refused:
            ASK[request_name](bench)
        assert refused.value.code is transition.code
    else:
        ASK[request_name](bench)

    assert bench.commit() == ([transition.kind] if isinstance(transition, Change) else [])
    assert state_of(bench) == (transition.state if isinstance(transition, Change) else state)


def test_every_kind_of_event_comes_from_some_change() -> None:
    kinds = {transition.kind for transition in TRANSITIONS.values() if isinstance(transition, Change)}

    assert kinds == set(get_args(EventKind))


def test_only_a_restart_leaves_an_end() -> None:
    leaving = {
        (state, request)
        for (state, request), transition in TRANSITIONS.items()
        if state in ENDED and isinstance(transition, Change)
    }

    assert leaving == {("fired", "restart"), ("cancelled", "restart")}


def test_time_changes_only_what_runs() -> None:
    assert TRANSITIONS["running", "expire"] == Change("fired", "fired")
    assert all(isinstance(TRANSITIONS[state, "expire"], Unchanged) for state in STATES if state != "running")  # type: ignore[index]


def test_diagram_has_one_line_for_every_change_and_none_for_the_rest() -> None:
    first, *lines = state_diagram().splitlines()

    assert first == "stateDiagram-v2"
    assert len(lines) == sum(isinstance(transition, Change) for transition in TRANSITIONS.values())
    assert "    [*] --> running: start / started" in lines
    assert "    fired --> running: restart / restarted" in lines
