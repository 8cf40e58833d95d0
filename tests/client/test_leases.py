"""When leases are renewed."""

from timer_client.leases import UNKNOWN_LEASE_MS, Leases


def test_a_lease_is_renewed_after_a_third_of_its_time_and_again_after_another() -> None:
    leases = Leases(30_000)
    assert leases.next_due_s is None
    leases.begin(["a"], 100)
    assert leases.next_due_s == 110
    assert leases.due(104) == []
    assert leases.due(110) == ["a"]
    leases.renewed(["a"], 111)
    assert leases.next_due_s == 121
    assert leases.asked_ms is None


def test_leases_that_are_soon_due_are_renewed_in_the_same_call() -> None:
    leases = Leases(30_000)
    for at_s, receipt in ((100, "a"), (104, "b"), (106, "c")):
        leases.begin([receipt], at_s)
    assert leases.due(110) == ["a", "b"]


def test_what_has_ended_is_not_renewed() -> None:
    leases = Leases(30_000)
    leases.begin(["a", "b"], 100)
    leases.end("a")
    leases.end("nobody's")
    leases.renewed(["a"], 100)
    assert (leases.due(200), "a" in leases, "b" in leases) == (["b"], False, True)


def test_a_lease_of_unknown_length_is_renewed_at_once_for_a_known_one() -> None:
    leases = Leases(None)
    leases.begin(["a"], 100)
    assert leases.next_due_s == 100
    assert leases.asked_ms == UNKNOWN_LEASE_MS
    leases.renewed(["a"], 100)
    assert leases.next_due_s == 110


def test_no_more_are_renewed_in_a_call_than_it_takes() -> None:
    leases = Leases(30_000)
    leases.begin(map(str, range(1500)), 100)
    assert len(leases.due(110)) == 1000
