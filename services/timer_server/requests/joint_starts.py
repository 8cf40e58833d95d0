"""Starts of several messages that came in one after the other: held while more come in, and applied in one step.

What each of them does and is answered is what it would be by itself at the moment of that step, by which all of them
have come in. What came in before them has been applied by then, and what comes in after them has not.
"""

from timer_protocol.codec import Codec, MethodCall
from timer_protocol.frames import Message
from timer_protocol.limits import Limits
from timer_server.requests.answers import JointAnswer
from timer_server.requests.plain_starts import PlainStarts

HELD_MOST = 64
"""Starts that are held at most: of more together each would cost no less."""

HELD_BYTES = 4_096
"""Bytes of a request that is held at most: of a longer one nearly all time goes to its payload."""

_NAMED = b'"timer.start"'
"""Stands in nearly every request to start a timer, and in hardly any other: so few are decoded a second time."""

_ENVELOPES: tuple[list[bytes], ...] = ([], [b""])
"""What stands between routing id and body for a DEALER that sends just the body, and for a REQ."""


class JointStarts:
    """Holds plain starts that came in messages of their own. `messages` are those, `calls` what they ask, in order."""

    def __init__(self, codec: Codec, limits: Limits, plain_starts: PlainStarts) -> None:
        self._decode = codec.decode
        self._max_batch = limits.max_batch
        self._most_bytes = min(limits.max_message_bytes, HELD_BYTES)
        self._plain_starts = plain_starts
        self._kind = plain_starts.kind
        self.messages: list[Message] = []
        self.calls: list[MethodCall] = []

    @property
    def are_enough(self) -> bool:
        """Whether no more may be held."""
        return len(self.calls) >= HELD_MOST

    def start_in(self, message: Message) -> MethodCall | None:
        """The start that a message asks for, where that may be held; None for any other message."""
        frames = message.frames
        body = frames[-1]
        if _NAMED not in body or not body.startswith(b"{") or frames[1:-1] not in _ENVELOPES:
            return None
        if len(body) > self._most_bytes:
            return None
        call = self._decode(body, self._max_batch)
        return call if type(call) is self._kind and self._plain_starts.is_plain(call) else None

    def hold(self, message: Message, call: MethodCall) -> None:
        """Holds a start, which its sender may ask for."""
        self.messages.append(message)
        self.calls.append(call)

    def apply(self, now_ns: int) -> JointAnswer | None:
        """Applies the starts that are held; None, and nothing has changed, where that is not possible in one step."""
        results = self._plain_starts.apply_apart(self.calls, now_ns)
        return None if results is None else JointAnswer(self.messages, self._kind, results)

    def let_go(self) -> None:
        """Holds nothing any more."""
        self.messages, self.calls = [], []
