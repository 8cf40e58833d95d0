"""The keys of changes that a timer remembers, as digests one behind the other."""

from timer_server.core.keys import digest_of, knows, remembering
from timer_server.limits import KEYS_REMEMBERED


def test_the_latest_are_known_and_no_others() -> None:
    keys, digests = b"", [digest_of(f"key {number}") for number in range(2 * KEYS_REMEMBERED)]
    for digest in digests:
        assert not knows(keys, digest)
        keys = remembering(keys, digest)

    assert [digest for digest in digests if knows(keys, digest)] == digests[-KEYS_REMEMBERED:]
    assert len(keys) == 8 * KEYS_REMEMBERED


def test_a_digest_across_the_border_of_two_others_is_none_of_them() -> None:
    keys = remembering(remembering(b"", b"....ABCD"), b"EFGH....")

    assert not knows(keys, b"ABCDEFGH")
    assert knows(remembering(keys, b"ABCDEFGH"), b"ABCDEFGH")
