"""Asks a gateway for timers at a steady rate, over some connections that stay open.

Arguments: a port, requests a second, and for how many seconds. A line of input starts it. Prints one line of JSON in
the end: `took_ms`, from the moment at which each request was due to its answer, and `failed`, how many were not
answered with 200.
"""

import asyncio
import json
import sys
import time

CONNECTIONS = 20
_REQUEST = b"GET /timer?id=stream/%04d/tea HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n\r\n"
_LENGTH = b"content-length: "


async def ask(port: int, place: int, rate: int, seconds: float, took_ms: list[float]) -> int:
    """One connection's share of the requests; returns how many have failed."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    failed = 0
    begun_s = time.perf_counter()
    for number in range(place, int(rate * seconds), CONNECTIONS):
        due_s = begun_s + number / rate
        await asyncio.sleep(max(0.0, due_s - time.perf_counter()))
        writer.write(_REQUEST % (number % 100, port))
        head = await reader.readuntil(b"\r\n\r\n")
        length = head.partition(_LENGTH)[2].partition(b"\r")[0]
        await reader.readexactly(int(length))
        took_ms.append((time.perf_counter() - due_s) * 1000)
        failed += not head.startswith(b"HTTP/1.1 200 ")
    writer.close()
    return failed


async def measure(port: int, rate: int, seconds: float) -> dict[str, object]:
    """All of them."""
    took_ms: list[float] = []
    failed = await asyncio.gather(*(ask(port, place, rate, seconds, took_ms) for place in range(CONNECTIONS)))
    return {"took_ms": took_ms, "failed": sum(failed)}


def main() -> None:
    port, rate, seconds = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
    sys.stdin.readline()
    print(json.dumps(asyncio.run(measure(port, rate, seconds))), flush=True)


if __name__ == "__main__":
    main()
