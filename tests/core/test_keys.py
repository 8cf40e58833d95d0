"""The keys of changes that a timer remembers, as digests one behind the other."""

import pytest

from timer_server.core import keys as keys_module
from timer_server.core.keys import knows, remembering
from timer_server.limits import KEYS_REMEMBERED


def test_the_latest_are_known_and_no_others() -> None:
    keys, names = b"", [f"key {number}" for number in range(2 * KEYS_REMEMBERED)]
    for name in names:
        assert not knows(keys, name)
        keys = remembering(keys, name)

    assert [name for name in names if knows(keys, name)] == names[-KEYS_REMEMBERED:]
    assert len(keys) == 8 * KEYS_REMEMBERED


def test_a_digest_across_the_border_of_two_others_is_none_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each key is its own digest here."""
    monkeypatch.setattr(keys_module, "_digest", str.encode)
    keys = remembering(remembering(b"", "....ABCD"), "EFGH....")

    assert not knows(keys, "ABCDEFGH")
    assert knows(remembering(keys, "ABCDEFGH"), "ABCDEFGH")
