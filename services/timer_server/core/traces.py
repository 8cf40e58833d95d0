"""Trace contexts as timers keep them: the ids and flags of a `traceparent` in binary, and its `tracestate` as it came.

So one takes 25 bytes and its `tracestate`. Those of pending timers are beside their records, since most timers have
none, and records of another form would be in another order.
"""

from timer_protocol.errors import ErrorCode, Refusal
from timer_protocol.traces import Trace, fault_in
from timer_server.core.model import Countdown, Traced

_STATE_AT = 25


def packed(trace: Trace) -> bytes:
    """The trace that a start asks to keep. Raises `Refusal` (invalid_params)."""
    fault = fault_in(trace)
    if fault is not None:
        raise Refusal(ErrorCode.INVALID_PARAMS, f"trace: {fault}")
    return bytes.fromhex(trace.traceparent[3:].replace("-", "")) + trace.tracestate.encode()


def unpacked(trace: bytes) -> Trace:
    """The trace as it goes over the wire."""
    return Trace(f"00-{trace[:16].hex()}-{trace[16:24].hex()}-{trace[24:25].hex()}", trace[_STATE_AT:].decode())


class PendingTraces(dict[str, bytes]):
    """The traces of pending timers, by id. Mostly empty, which is all that is asked then."""

    def taken_from(self, timer: Countdown) -> Countdown:
        """A pending timer without its trace, which is kept here."""
        if type(timer) is not Traced:
            return timer
        self[timer.id] = timer.trace
        return timer.untraced()

    def joined_to(self, timer: Countdown) -> Countdown:
        """A timer with its trace, if it has one."""
        trace = self.get(timer.id)
        return timer if trace is None else timer.traced(trace)
