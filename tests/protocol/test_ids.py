"""Ids: which are allowed, and those the server makes."""

import re
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from timer_protocol.errors import ErrorCode, Refusal
from timer_protocol.ids import ENTROPY_BITS, ID_PATTERN, are_valid_ids, check_id, is_valid_id, uuid7

ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._:/-"
UNIX_MS = st.integers(0, 2**48 - 1)
ENTROPY = st.integers(0, 2**ENTROPY_BITS - 1)


@pytest.mark.parametrize("text", ["a", "order/42", "A-Z.a_z:0/9-", "/", "-", "x" * 128, ALPHABET])
def test_allowed(text: str) -> None:
    assert is_valid_id(text)
    assert are_valid_ids([text])
    assert are_valid_ids([text, "b", text])
    check_id(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x" * 129,
        "a b",
        "a\n",
        "\na",
        "a\nb",
        "a\0",
        "é",
        "４２",
        "a~",
        "a*",
        "a,b",
        "a\\b",
        "a#",
        "a\x7f",
        "\ud800",
        "a\u200b",
    ],
    ids=ascii,
)
def test_refused(text: str) -> None:
    assert not is_valid_id(text)
    assert not are_valid_ids([text])
    assert not are_valid_ids(["a", text, "b"])
    with pytest.raises(Refusal) as refused:
        check_id(text)
    assert refused.value.code is ErrorCode.INVALID_PARAMS


def test_a_refusal_shows_no_more_than_the_beginning() -> None:
    with pytest.raises(Refusal) as refused:
        check_id("*" * 10_000)

    assert len(refused.value.reason) < 200
    assert "10000 characters" in refused.value.reason


def test_a_refusal_counts_one_character() -> None:
    with pytest.raises(Refusal, match=r"\(1 character\)"):
        check_id("*")


@given(st.text(max_size=6) | st.text(ALPHABET + "\n ~", max_size=130))
def test_pattern_says_the_same_as_the_code(text: str) -> None:
    """`$` of Python's `re` also matches before a last newline, unlike that of JSON Schema."""
    pattern = ID_PATTERN.removesuffix("$") + r"\Z"

    assert is_valid_id(text) == (re.match(pattern, text) is not None)


@given(UNIX_MS, ENTROPY)
def test_made_id_is_a_uuid_of_version_7(unix_ms: int, entropy: int) -> None:
    made = uuid.UUID(uuid7(unix_ms, entropy))

    assert (made.version, made.variant) == (7, uuid.RFC_4122)
    assert made.int >> 80 == unix_ms
    assert str(made) == uuid7(unix_ms, entropy)
    assert is_valid_id(str(made))


@given(UNIX_MS, ENTROPY, UNIX_MS, ENTROPY)
def test_made_ids_are_in_the_order_of_time(one_ms: int, one: int, other_ms: int, other: int) -> None:
    if one_ms != other_ms:
        assert (uuid7(one_ms, one) < uuid7(other_ms, other)) == (one_ms < other_ms)


@given(UNIX_MS, ENTROPY, ENTROPY)
def test_every_bit_of_entropy_counts(unix_ms: int, one: int, other: int) -> None:
    assert (uuid7(unix_ms, one) == uuid7(unix_ms, other)) == (one == other)


def test_example_of_the_rfc() -> None:
    """RFC 9562, appendix A.6."""
    entropy = 0xCC3 << 62 | 0x18C4DC0C0C07398F
    assert uuid7(0x017F22E279B0, entropy) == "017f22e2-79b0-7cc3-98c4-dc0c0c07398f"
