"""Asyncio: seats that are held for a while and then sold or free again, many at once in one process.

    python seat_holds.py [--seats N] [--seconds SECONDS]

holds all seats, sells every third, waits for the others, and prints

    holds 6 seats for 1 s
    sold 1, 4
    free again 2, 3, 5, 6

Calls that are made at the same time travel in one message, and a task that waits costs no connection of its own.
"""

import argparse
import asyncio

from timer_client import AsyncTimerClient, Timer, WrongState, new_id


async def hold(client: AsyncTimerClient, show: str, seat: int, seconds: float) -> Timer:
    """Holds a seat."""
    return await client.start(id=f"{show}/{seat}", seconds=seconds, payload={"seat": seat})


async def sell(client: AsyncTimerClient, held: Timer) -> bool:
    """Whether the hold was still there. The server decides: a timer is cancelled or fires, never both."""
    try:
        await client.cancel(held)
    except WrongState:  # it has fired: the seat is free
        return False
    return True


async def main() -> None:
    parser = argparse.ArgumentParser(description="Seats that are held for a while.")
    parser.add_argument("--seats", type=int, default=6, metavar="N")
    parser.add_argument("--seconds", type=float, default=1)
    wanted = parser.parse_args()

    show = f"seat/{new_id()}"
    async with AsyncTimerClient() as client:
        seats = range(1, wanted.seats + 1)
        held = await asyncio.gather(*(hold(client, show, seat, wanted.seconds) for seat in seats))
        print(f"holds {len(held)} seats for {wanted.seconds:g} s")
        sold = await asyncio.gather(*(sell(client, timer) for timer in held[::3]))
        print("sold", seats_of([timer for timer, is_sold in zip(held[::3], sold, strict=True) if is_sold]))
        async with asyncio.timeout(wanted.seconds + 60):  # the client itself would wait for as long as it takes
            ended = await asyncio.gather(*(client.wait(timer) for timer in held))
        print("free again", seats_of([timer for timer in ended if timer.state == "fired"]))


def seats_of(timers: list[Timer]) -> str:
    return ", ".join(str(timer.payload["seat"]) for timer in timers)


if __name__ == "__main__":
    asyncio.run(main())
