"""What the clients ask of queues, against the server: what happens, and what is refused."""

from collections.abc import Callable
from typing import Any

import pytest

from client.fake_server import FakeServer, giving
from drivers.both_clients import Driver, quick
from local_server import LocalServer
from timer_client import InvalidArgument, InvalidRequest, QueueNotFound, Settings

Connect = Callable[..., Driver]


def _settings(server: LocalServer) -> Settings:
    return quick(server.commands, server.events, timeout_s=5)


@pytest.fixture
def client(server: LocalServer, connect: Connect) -> Any:
    """A client of a server that has the queues `q` and `other`, of all ends."""
    client = connect(_settings(server))
    client.put_queue("q", "", backoff_ms=[0])
    client.put_queue("other", "")
    return client


def _taken(client: Any, count: int) -> list[Any]:
    """Deliveries of that many timers."""
    client.start_columns([f"t{number:04}" for number in range(count)], 0.01)
    taken: list[Any] = []
    while len(taken) < count:
        taken += client.take("q", min(count - len(taken), 100), 5000)
    return taken


def test_queues_are_made_changed_listed_and_deleted(client: Any) -> None:
    queue = client.put_queue("mail", "mail/", states=("cancelled",), begin="start", max_deliveries=2)
    assert (queue.states, queue.max_deliveries, queue.version) == (("cancelled",), 2, 1)
    assert client.put_queue("mail", "mail/", lease_ms=5000).version == 2
    assert client.get_queue("mail").lease_ms == 5000
    assert [queue.queue for queue in client.queues()] == ["mail", "other", "q"]
    assert [queue.queue for queue in client.queues("mail/")] == ["mail"]
    assert client.delete_queue("mail").deleted
    assert not client.delete_queue("mail").deleted


def test_a_batch_is_taken_and_acknowledged(client: Any) -> None:
    batch = _taken(client, 5)
    assert [(delivery.event.timer.id, delivery.attempt) for delivery in batch] == [(f"t000{n}", 1) for n in range(5)]
    settled = client.ack("q", batch)
    assert (settled.done, settled.lost) == ([delivery.receipt for delivery in batch], [])
    assert client.take("q", 5) == []
    assert client.get_queue("q").leased == 0


def test_the_same_key_takes_the_same(client: Any) -> None:
    client.start_columns(["a", "b"], 0.01)
    first = client.take("q", wait_ms=5000, key="k")
    assert client.take("q", key="k") == first


def test_deliveries_are_given_back_renewed_and_lost(client: Any) -> None:
    first, second = _taken(client, 2)
    renewed = client.renew("q", [first, second.receipt], lease_ms=60_000)
    assert renewed.leased == [first.receipt, second.receipt]
    assert renewed.leased_until_ms > first.leased_until_ms
    assert client.nack("q", [first], "return").done == [first.receipt]
    (again,) = client.take("q")
    assert (again.event, again.attempt) == (first.event, 1)
    assert client.ack("q", [first, again]).lost == [first.receipt]
    assert client.renew("q", [first]).lost == [first.receipt]
    client.nack("q", [second], delay_ms=0, reason="busy")
    assert [delivery.attempt for delivery in client.take("q", wait_ms=5000)] == [2]


def test_dead_letters_are_listed_revived_and_dropped(client: Any) -> None:
    batch = _taken(client, 4)
    client.nack("q", batch, "dead", reason="no such address")
    page = client.dead("q", limit=3)
    assert [(letter.receipt, letter.attempts, letter.reason) for letter in page.dead] == [
        (delivery.receipt, 1, "no such address") for delivery in batch[:3]
    ]
    assert [letter.receipt for letter in client.dead("q", page.next).dead] == [batch[3].receipt]
    assert client.revive("q", page.dead[:1]).done == [batch[0].receipt]
    assert client.revive("q", [batch[0].receipt]).lost == [batch[0].receipt]
    assert client.drop("q", [batch[1]]).done == [batch[1].receipt]
    assert client.revive("q").done == [batch[2].receipt, batch[3].receipt]
    assert client.drop("q").done == []
    assert (client.get_queue("q").ready, client.get_queue("q").dead) == (3, 0)


def test_no_receipts_are_no_request(fake: FakeServer, connect: Connect) -> None:
    client = connect(quick(fake.commands))
    for settle in (client.ack, client.nack, client.renew, client.revive, client.drop):
        assert settle("q", []).lost == []
    assert fake.bodies.empty()


def test_any_number_of_receipts_goes_in_parts(fake: FakeServer, connect: Connect) -> None:
    fake.faults += [giving({"done": ["a"], "lost": []}), giving({"done": [], "lost": ["b"]})]
    settled = connect(quick(fake.commands)).ack("q", map(str, range(1500)))
    assert (settled.done, settled.lost) == (["a"], ["b"])
    assert [len(fake.next_message()[0]["params"]["receipts"]) for _ in range(2)] == [1000, 500]


@pytest.mark.parametrize(
    "settle", ["ack", "nack", "renew", "revive", "drop", "take", "get_queue", "dead", "revive all", "drop all"]
)
def test_a_queue_that_is_not_there_is_told(client: Any, settle: str) -> None:
    receipts = [["a receipt"]] if settle in ("ack", "nack", "renew", "revive", "drop") else []
    with pytest.raises(QueueNotFound, match=r"queue 'none' is not there$") as caught:
        getattr(client, settle.partition(" ")[0])("none", *receipts)
    assert (caught.value.data["queue"], caught.value.retryable) == ("none", False)


@pytest.mark.parametrize("settle", ["ack", "nack", "renew", "revive", "drop"])
def test_a_receipt_that_is_none_or_of_another_queue_is_told(client: Any, settle: str) -> None:
    client.start_columns(["a"], 0.01)
    (mine,), (other,) = client.take("q", wait_ms=5000), client.take("other", wait_ms=5000)
    with pytest.raises(
        InvalidRequest, match=r"'a receipt' is no receipt, such as each delivery has; nothing of this call was applied"
    ):
        getattr(client, settle)("q", [mine, "a receipt"])
    with pytest.raises(
        InvalidRequest, match="is a receipt of queue 'other', not of 'q'; nothing of this call was applied"
    ):
        getattr(client, settle)("q", [mine, other])
    for wrong in (b"bytes", mine.event, None):
        with pytest.raises(InvalidArgument, match=r"receipts\[1\] is .* but must be a receipt or a delivery"):
            getattr(client, settle)("q", [mine, wrong])
    assert client.ack("q", [mine]).done == [mine.receipt]
