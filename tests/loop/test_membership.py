"""Joining the servers of a store: what is tried again, what is not, and what is said where it takes too long."""

from itertools import count
from types import SimpleNamespace
from typing import Any, cast
from unittest.mock import Mock
from uuid import UUID, uuid4

import pytest

from drivers.builders import NS_PER_MS
from timer_server import joining
from timer_server.core.places import Places
from timer_server.loop.membership import Membership, Presence, Sessions
from timer_server.loop.parts import Parts
from timer_server.loop.signals import OperatorSignals
from timer_server.metrics import Metrics
from timer_server.requests.servers import Servers
from timer_server.store.base import StoreError
from timer_server.store.postgres.exchange import Steps
from timer_server.store.postgres.own_session import Reply
from timer_server.store.postgres.sentences import Failed, sentence
from timer_server.wire.advertised import Endpoints

STORE = "postgresql://me@host/x"


class Session:
    """Stands in for a session for beats, each of which fails."""

    backend = None

    def __init__(self, fault: Failed) -> None:
        self._fault = fault
        self.joins = 0

    def joining(self, *_: object) -> Steps[Reply[Any]]:
        self.joins += 1
        yield None
        raise self._fault

    def is_lost(self) -> bool:
        return False

    def explain(self, fault: Failed) -> StoreError:
        return sentence("write", STORE, fault)

    def close(self) -> None: ...


def joined(session: Session, monkeypatch: pytest.MonkeyPatch) -> str:
    """Why a server with this session does not become a member, while a second goes by with each look at the clock."""
    monkeypatch.setattr(joining, "_LOOK_MS", 0)
    clock = Mock(now_ns=(moment * 1_000 * NS_PER_MS for moment in count(1)).__next__)
    nothing = Mock(next_due_ns=lambda: None, step=lambda _: None, line=Mock(line=Mock(wait=None)), last_fault=None)
    committer = Mock(take_outcomes=list, waits_since_ns=lambda: None)
    parts = SimpleNamespace(clock=clock, servers=Servers(()), places=Places(9), metrics=Mock(spec=Metrics), peers=None)
    parts.metrics.beats_late = 0
    membership = Membership(
        incarnation=UUID(int=1),
        lease_ms=2_000,
        sessions=Sessions(*cast("Any", (session, session, session))),
        ownership=Mock(loading=nothing, committer=committer),
        parts=cast("Parts", parts),
        presence=Presence(STORE, "a", Endpoints("tcp://a:1", "tcp://a:2", "tcp://a:3")),
        new_incarnation=uuid4,
    )
    signals = OperatorSignals()
    try:
        with pytest.raises(StoreError) as failure:
            joining._join(membership, clock, signals)
    finally:
        signals.close()
    return str(failure.value)


def test_a_fault_that_may_end_is_tried_again_and_told_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    session = Session(Failed("XX000", "tuple concurrently updated"))

    assert joined(session, monkeypatch) == (
        "the servers of the store could not be joined within 60 s: PostgreSQL has acknowledged no beat of this server"
        f" (cannot write {STORE}: tuple concurrently updated (SQLSTATE XX000))"
    )
    assert session.joins > 2


def test_a_fault_that_stays_ends_it_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    session = Session(Failed("42501", "permission denied for table timer_server"))

    assert joined(session, monkeypatch).startswith(f"cannot write {STORE}: permission denied for table timer_server")
    assert session.joins == 1
