"""Trace contexts: which are taken, as W3C Trace Context has them, and what is said of the others."""

import pytest

from timer_protocol.traces import Trace, fault_in

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.mark.parametrize(
    "trace",
    [
        Trace(PARENT),
        Trace(PARENT[:-2] + "ff"),
        Trace(PARENT, "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE"),
        Trace(PARENT, "tenant@vendor=a b~!"),
        Trace(PARENT, " a=1 ,\tb=2,,"),
        Trace(PARENT, ",".join(f"k{number}=1" for number in range(32))),
        Trace(PARENT, "k" * 255 + "=" + "v" * 256),
    ],
    ids=str,
)
def test_a_good_one_has_no_fault(trace: Trace) -> None:
    assert fault_in(trace) is None


@pytest.mark.parametrize(
    "parent",
    [
        "",
        PARENT.upper(),
        PARENT + "-",
        PARENT + "\n",
        PARENT[:-1],
        "01" + PARENT[2:],
        "ff" + PARENT[2:],
        f"00-{'0' * 32}-00f067aa0ba902b7-01",
        f"00-4bf92f3577b34da6a3ce929d0e0e4736-{'0' * 16}-01",
        PARENT.replace("4bf9", "4bfg"),
        PARENT.replace("4bf9", "४bf9"),
        "x" * 1000,
    ],
)
def test_another_traceparent_is_told_with_what_is_allowed(parent: str) -> None:
    fault = fault_in(Trace(parent))
    assert fault is not None
    assert fault.startswith("traceparent is ")
    assert "00-<32 digits>-<16 digits>-<2 digits>, hexadecimal in lower case" in fault
    assert len(fault) < 250


@pytest.mark.parametrize(
    "state",
    [
        "a",
        "=1",
        "A=1",
        "a=",
        "a=1,a=2",
        "a=1;b=2,c",
        "a=1=2",
        "a=ü",
        "a=1\n",
        "k" * 257 + "=1",
        "a=" + "v" * 511,
        ",".join(f"k{number}=1" for number in range(33)),
    ],
)
def test_another_tracestate_is_told_with_what_is_allowed(state: str) -> None:
    fault = fault_in(Trace(PARENT, state))
    assert fault is not None
    assert fault.startswith("tracestate is ")
    assert "at most 512 characters with at most 32 members" in fault
    assert len(fault) < 300
