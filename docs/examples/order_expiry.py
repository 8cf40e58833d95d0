"""Orders that expire unless they are paid: a timer for each, and any number of workers that handle the ends.

    python order_expiry.py work                  as often as you like, on as many machines
    python order_expiry.py place 42 --seconds 5
    python order_expiry.py pay 42

The worker prints

    order 42 has expired

The database decides, since every change asks for the state before it: an order is paid or expires, never both, whoever
is killed when. A worker may get an end a second time, which changes nothing.
"""

import argparse
import signal
import sqlite3
import sys
from contextlib import closing, suppress

from timer_client import LeaseLost, TimerClient, TimerNotFound, WrongState

QUEUE, PREFIX = "order-expiry", "order/"
EXPIRE = """
INSERT INTO orders VALUES (?, 'expired') ON CONFLICT (id) DO UPDATE SET state = 'expired' WHERE state = 'open'
"""


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
        client.put_queue(QUEUE, PREFIX)  # before the first timer: a queue has the ends since it was made
        if wanted.action == "place":
            place(client, orders, wanted.order, wanted.seconds)
        elif wanted.action == "pay":
            pay(client, orders, wanted.order)
        else:
            work(client, orders)


def place(client: TimerClient, orders: sqlite3.Connection, order: str, seconds: float) -> None:
    """Takes an order. The timer comes first: one without an order does no harm, an order without one stays open."""
    client.start(id=PREFIX + order, seconds=seconds)  # the same again is the same timer
    with orders:
        orders.execute("INSERT OR IGNORE INTO orders VALUES (?, 'open')", (order,))
    (state,) = orders.execute("SELECT state FROM orders WHERE id = ?", (order,)).fetchone()
    print(f"order {order} is {state}")


def pay(client: TimerClient, orders: sqlite3.Connection, order: str) -> None:
    """Pays an order that is still open. That the timer is cancelled only saves the worker some work."""
    with orders:
        paid = orders.execute("UPDATE orders SET state = 'paid' WHERE id = ? AND state = 'open'", (order,))
    if not paid.rowcount:
        sys.exit(f"order {order} is not open")
    with suppress(WrongState, TimerNotFound):  # it has fired just now, or long ago
        client.cancel(PREFIX + order)
    print(f"order {order} is paid")


def work(client: TimerClient, orders: sqlite3.Connection) -> None:
    """Lets orders expire, until SIGTERM or Ctrl-C. What it is about then goes to another worker at once."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with suppress(KeyboardInterrupt):
        for end in client.work(QUEUE):
            order = end.id.removeprefix(PREFIX)
            # Acknowledged at the end of the block. Where that is too late, another worker has the end, to no effect.
            with suppress(LeaseLost), end:
                if expire(orders, order):
                    print(f"order {order} has expired", flush=True)


def expire(orders: sqlite3.Connection, order: str) -> bool:
    """Whether an order has expired just now. One that is not there yet will find that its time is over."""
    with orders:
        return orders.execute(EXPIRE, (order,)).rowcount > 0


if __name__ == "__main__":
    main()
