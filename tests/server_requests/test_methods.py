"""What methods add to the engine: pages cut to size, ended timers from the store, the server about itself."""

import pytest

from drivers.builders import BEGIN_NS, LOG_ID, NS_PER_MS
from drivers.desk import Desk
from timer_protocol import PROTOCOL, __version__
from timer_protocol.messages import ServerAddresses
from timer_protocol.methods import METHODS
from timer_server.civil_time.zones import TZDATA_VERSION
from timer_server.requests import listing as listing_module


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_there_is_a_handler_for_every_method_of_the_table(desk: Desk) -> None:
    handled = [*desk.methods.handlers(), *desk.queue_methods.handlers(), *desk.plan_methods.handlers()]
    assert handled == [method.name for method in METHODS]


class TestInfo:
    def test_tells_about_the_server(self, desk: Desk) -> None:
        desk.start("a")
        desk.start("b")
        desk.call("timer.cancel", id="b")
        desk.servers.listed = (ServerAddresses("one", "tcp://one:1", "tcp://one:2"),)

        assert desk.result("server.info") == {
            "version": __version__,
            "protocol": PROTOCOL,
            "logs": {LOG_ID: {"seq": 3, "now_ms": BEGIN_NS // NS_PER_MS}},
            "cursor": {LOG_ID: 3},
            "counts": {"running": 1, "paused": 0, "fired": 0, "cancelled": 1},
            "limits": {
                "max_timers": 1_000_000,
                "max_payload_bytes": 65_536,
                "max_batch": 1000,
                "max_message_bytes": 1_048_576,
                "max_duration_s": 315_360_000,
                "retention_s": 86_400,
            },
            "plans": 0,
            "tzdata": TZDATA_VERSION,
            "servers": [{"name": "one", "commands": "tcp://one:1", "events": "tcp://one:2"}],
            "servers_version": 1,
            "unreachable": [],
        }

    def test_tells_the_limits_that_were_set(self) -> None:
        assert Desk(max_batch=7).result("server.info")["limits"]["max_batch"] == 7


def test_discover_describes_every_method(desk: Desk) -> None:
    described = desk.result("rpc.discover")

    assert [method["name"] for method in described["methods"]] == [method.name for method in METHODS]


class TestList:
    def test_timers_of_all_states_are_whole(self, desk: Desk) -> None:
        for timer_id in ("a", "b", "c"):
            desk.start(timer_id, label=timer_id.upper(), payload=b'{"for":"' + timer_id.encode() + b'"}')
        desk.call("timer.cancel", id="b")
        desk.commit()

        page = desk.result("timer.list")

        assert [(timer["id"], timer["label"], timer["state"], timer["payload"]) for timer in page["timers"]] == [
            ("a", "A", "running", {"for": "a"}),
            ("b", "B", "cancelled", {"for": "b"}),
            ("c", "C", "running", {"for": "c"}),
        ]
        assert page["next"] is None

    def test_page_ends_early_where_its_payloads_are_large_and_the_next_goes_on(
        self, desk: Desk, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(listing_module, "PAGE_BYTES", 100)
        for timer_id in "abcde":
            desk.start(timer_id, payload=b'"' + b"x" * 60 + b'"')

        pages, after = [], None
        while True:
            page = desk.result("timer.list", after=after)
            pages.append([timer["id"] for timer in page["timers"]])
            if (after := page["next"]) is None:
                break

        assert pages == [["a", "b"], ["c", "d"], ["e"]]
