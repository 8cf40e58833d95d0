"""What tests of forwards do, and look at."""

from typing import Any

from drivers.several_servers import Server, SharedStore
from timer_server.requests.between_servers import PeerCancel, PeerRequest, unpacked_requests


def joined() -> SharedStore:
    """Servers that answer requests about several shards together: `a` owns shard 0, `b` shard 1, `c` nothing."""
    store = SharedStore(2, are_joined=True)
    for incarnation in ("a", "b", "c"):
        store.start(incarnation)
    store.give(0, "a")
    store.give(1, "b")
    store.follow()
    store.run()
    return store


def started(server: Server, timer_id: str) -> None:
    """Starts a timer, and has that told."""
    server.call("timer.start", id=timer_id, seconds=60)
    server.store.run(4)
    (told,) = server.take_told()
    assert told["result"]["id"] == timer_id


def kinds(store: SharedStore, number: int) -> list[str]:
    return [event.kind for event in store.events(number)]


def sent(server: Server) -> list[list[PeerRequest | PeerCancel]]:
    """What each message of a server to others had since the last call."""
    bodies, server.peers.sent = server.peers.sent, []
    return [list(unpacked_requests(body).requests) for body in bodies]


def code(told: Any) -> int:
    error: int = told["error"]["code"]
    return error
