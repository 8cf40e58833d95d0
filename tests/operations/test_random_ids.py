"""Ids that the server makes: those of timers sort by time, those of logs are short."""

import re
import uuid

from timer_server.random_ids import new_id, new_log_id


def test_ids_of_timers_are_uuids_that_sort_by_the_time_they_were_made() -> None:
    made = [new_id(1_700_000_000_000 + ms) for ms in range(100)]

    assert {uuid.UUID(timer_id).version for timer_id in made} == {7}
    assert made == sorted(made)
    assert len({new_id(0) for _ in range(100)}) == 100


def test_ids_of_logs_are_eleven_characters_and_never_the_same() -> None:
    made = {new_log_id() for _ in range(100)}

    assert len(made) == 100
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{11}", log_id) for log_id in made)
