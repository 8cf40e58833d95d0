"""Envelopes: every kind of peer gets its frames back, and the body is what follows them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from timer_protocol.frames import event_topic, is_json, split_envelope

ROUTING_ID = b"\x00\x80\x00A\xa7"
BODY = b'{"jsonrpc":"2.0"}'

PEERS = {
    "a REQ": ([ROUTING_ID, b"", BODY], [ROUTING_ID, b""], [BODY]),
    "a REQ with correlation": ([ROUTING_ID, b"\0\0\0\x07", b"", BODY], [ROUTING_ID, b"\0\0\0\x07", b""], [BODY]),
    "a DEALER with a delimiter": ([b"dealer", b"", BODY], [b"dealer", b""], [BODY]),
    "a DEALER without a delimiter": ([b"dealer", BODY], [b"dealer"], [BODY]),
    "a REQ behind another ROUTER": ([b"proxy", b"client", b"", BODY], [b"proxy", b"client", b""], [BODY]),
    "a REQ with three frames": ([b"id", b"", b"0", b"0", b"5"], [b"id", b""], [b"0", b"0", b"5"]),
    "a DEALER with three frames": ([b"id", b"0", b"0", b"5"], [b"id"], [b"0", b"0", b"5"]),
    "an empty body after a delimiter": ([b"id", b"", b""], [b"id", b""], [b""]),
    "a delimiter and nothing else": ([b"id", b""], [b"id", b""], []),
    "an empty frame further down": ([b"id", b"", b"0", b"", b"5"], [b"id", b""], [b"0", b"", b"5"]),
    "a routing id and nothing else": ([b"id"], [b"id"], []),
    "an empty routing id": ([b"", b"", BODY], [b"", b""], [BODY]),
    "an empty routing id without a delimiter": ([b"", BODY], [b""], [BODY]),
}


@pytest.mark.parametrize(("frames", "envelope", "body"), PEERS.values(), ids=PEERS.keys())
def test_envelope_ends_with_the_first_empty_frame(
    frames: list[bytes], envelope: list[bytes], body: list[bytes]
) -> None:
    assert split_envelope(frames) == (envelope, body)


@given(st.lists(st.binary(max_size=5), min_size=1, max_size=8))
def test_no_frame_is_lost_or_changed(frames: list[bytes]) -> None:
    envelope, body = split_envelope(list(frames))

    assert envelope + body == frames
    assert envelope[0] == frames[0]
    assert b"" not in envelope[1:-1]
    if len(envelope) > 1:
        assert envelope[-1] == b""
    else:
        assert b"" not in body


@pytest.mark.parametrize("body", [b"{}", b"[", b" \t\r\n{", b"\n\n[1]", b"{not json"])
def test_one_frame_that_begins_like_json_is_json(body: bytes) -> None:
    assert is_json([body])


@pytest.mark.parametrize(
    "body",
    [[], [b""], [b"  "], [b"5"], [b"x{"], [b'"{"'], [b"\x0b{"], [b"\xef\xbb\xbf{}"], [b"{", b"}"], [b"{}", b""]],
    ids=repr,
)
def test_anything_else_is_not(body: list[bytes]) -> None:
    assert not is_json(body)


def test_topic_is_id_space_kind() -> None:
    assert event_topic("order/42", "fired") == b"order/42 fired"


def test_topic_of_one_timer_is_no_prefix_of_another() -> None:
    assert not event_topic("order/42", "fired").startswith(b"order/4 ")
    assert event_topic("order/42", "fired").startswith(b"order/42 ")
