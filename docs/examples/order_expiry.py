"""Orders that expire unless they are paid: a timer for each, and any number of workers that handle the ends.

    python order_expiry.py work                  as often as you like, on as many machines
    python order_expiry.py place 42 --seconds 5
    python order_expiry.py pay 42

The worker prints

    order 42 has expired

The database decides, since every change asks for the state before it: an order is paid or expires, never both, whoever
is killed when. A timer may end twice for a worker (at least once), and the second time changes nothing.
"""

import argparse
import signal
import sqlite3
import sys
from contextlib import closing, suppress

from timer_client import LeaseLost, TimerClient, TimerNotFound, WrongState

QUEUE = "order-expiry"


def main() -> None:
    parser = argparse.ArgumentParser(description="Orders that expire unless they are paid.")
    parser.add_argument("action", choices=("place", "pay", "work"))
    parser.add_argument("order", nargs="?", default="")
    parser.add_argument("--seconds", type=float, default=900)
    parser.add_argument("--database", default="orders.db")
    wanted = parser.parse_args()
    if not wanted.order and wanted.action != "work":
        parser.error(f"{wanted.action} needs the order")

    with closing(sqlite3.connect(wanted.database, timeout=30)) as orders, TimerClient() as client:
        orders.execute("CREATE TABLE IF NOT EXISTS orders (id TEXT PRIMARY KEY, state TEXT NOT NULL)")
        client.put_queue(QUEUE, "order/")  # before the first timer: a queue has the ends since it was made
        if wanted.action == "place":
            place(client, orders, wanted.order, wanted.seconds)
        elif wanted.action == "pay":
            pay(client, orders, wanted.order)
        else:
            work(client, orders)


def place(client: TimerClient, orders: sqlite3.Connection, order: str, seconds: float) -> None:
    """Takes an order. The timer comes first: one without an order does no harm, an order without one stays open."""
    timer = client.start(id=f"order/{order}", seconds=seconds, payload={"order": order})  # the same id: the same timer
    if timer.ended:
        sys.exit(f"order {order} has had its time")
    with orders:
        orders.execute("INSERT OR IGNORE INTO orders VALUES (?, 'open')", (order,))
    print(f"order {order} is open for {timer.remaining_ms / 1000:.0f} s")


def pay(client: TimerClient, orders: sqlite3.Connection, order: str) -> None:
    """Pays an order that is still open. That the timer is cancelled only saves the worker some work."""
    if not change(orders, order, "paid"):
        sys.exit(f"order {order} is not open")
    with suppress(WrongState, TimerNotFound):  # it has fired just now, or long ago
        client.cancel(f"order/{order}")
    print(f"order {order} is paid")


def work(client: TimerClient, orders: sqlite3.Connection) -> None:
    """Lets orders expire, until SIGTERM or Ctrl-C. What it is about then goes to another worker at once."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with suppress(KeyboardInterrupt):
        for end in client.work(QUEUE):
            # Acknowledged at the end of the block. Where that is too late, another worker has the end, to no effect.
            with suppress(LeaseLost), end:
                if change(orders, end.payload["order"], "expired"):
                    print(f"order {end.payload['order']} has expired", flush=True)


def change(orders: sqlite3.Connection, order: str, state: str) -> bool:
    """Whether the order was open, and so has this state now."""
    with orders:
        return (
            orders.execute("UPDATE orders SET state = ? WHERE id = ? AND state = 'open'", (state, order)).rowcount > 0
        )


if __name__ == "__main__":
    main()
