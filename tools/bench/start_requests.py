"""Requests to start timers, made before anything is timed."""

from collections.abc import Iterable, Sequence

PAYLOAD = "x" * 30
"""With its quotes 32 bytes of JSON."""

PAYLOAD_JSON = b'"%s"' % PAYLOAD.encode()


def start_request(timer_id: str, seconds: float, number: int = 0) -> bytes:
    """One request."""
    return b'{"jsonrpc":"2.0","id":%d,"method":"timer.start","params":{"id":"%s","seconds":%.3f,"payload":%s}}' % (
        number,
        timer_id.encode(),
        seconds,
        PAYLOAD_JSON,
    )


def start_requests(prefix: str, numbers: Iterable[int], seconds: float = 3600) -> list[bytes]:
    """Requests for timers such as `order/123456`, all of the same length."""
    return [start_request(f"{prefix}/{number}", seconds, number) for number in numbers]


def batched(requests: Sequence[bytes], size: int) -> list[bytes]:
    """Requests as JSON-RPC batches."""
    return [b"[" + b",".join(requests[at : at + size]) + b"]" for at in range(0, len(requests), size)]


def in_columns(prefix: str, numbers: Sequence[int], size: int, seconds: float = 3600) -> list[bytes]:
    """Requests for the same timers with `timer.start_many`, so many timers in each."""
    messages = []
    for at in range(0, len(numbers), size):
        ids = ",".join(f'"{prefix}/{number}"' for number in numbers[at : at + size]).encode()
        payloads = b",".join([PAYLOAD_JSON] * len(numbers[at : at + size]))
        messages.append(
            b'{"jsonrpc":"2.0","id":%d,"method":"timer.start_many","params":{"ids":[%b],"seconds":%.3f,"payloads":[%b]}}'
            % (at, ids, seconds, payloads)
        )
    return messages
