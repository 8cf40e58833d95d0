"""ZeroMQ frames: messages with their senders and envelopes, and the topics of events."""

from collections.abc import Sequence

from msgspec import Struct

from timer_protocol.sender import Sender

SERVICE_TOPICS = b"~"
"""What topics begin with that are not of timers. Clients drop those they do not know, which are for later ones."""

BEAT_TOPIC = b"~beat"

PLAN_TOPIC = b"~plan/"
"""What the topic of a plan begins with; its id follows."""

_JSON_SPACE = b" \t\r\n"
_JSON_BEGINS = (b"{", b"[")


class Message(Struct, frozen=True, gc=False):
    """A message to the commands socket: its frames, the routing id first, and its sender."""

    frames: list[bytes]
    sender: Sender


def split_envelope(frames: list[bytes]) -> tuple[list[bytes], list[bytes]]:
    """Splits a ROUTER's message into envelope and body; the envelope goes back unchanged before the reply.

    The envelope is the routing id and everything up to and including the first empty frame, or the routing id
    alone where there is none. So it holds the delimiter of a REQ (zguide, chapter 3) and the request id that
    `ZMQ_REQ_CORRELATE` puts before it.
    """
    cut = frames.index(b"", 1) + 1 if b"" in frames[1:] else 1
    return frames[:cut], frames[cut:]


def is_json(body: Sequence[bytes]) -> bool:
    """Whether a body is JSON-RPC: one frame that begins with `{` or `[`, white space aside."""
    if len(body) != 1:
        return False
    text = body[0]
    if text[:1].isspace():
        text = text.lstrip(_JSON_SPACE)
    return text.startswith(_JSON_BEGINS)


def event_topic(timer_id: str, kind: str) -> bytes:
    """The topic of an event. The space ends the id, so that `order/4 ` does not match `order/42`."""
    return f"{timer_id} {kind}".encode()
