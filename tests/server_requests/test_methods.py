"""What methods add to the engine: pages and windows cut to size, ended timers from the store, the server itself."""

import pytest

from drivers.builders import BEGIN_NS, LOG_ID, NS_PER_S
from drivers.desk import Desk
from timer_protocol import PROTOCOL, __version__
from timer_protocol.messages import METHODS
from timer_server.requests import methods as methods_module

DAY_NS = 86_400 * NS_PER_S


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_there_is_a_handler_for_every_method_of_the_table(desk: Desk) -> None:
    assert list(desk.methods.handlers()) == [method.name for method in METHODS]


class TestInfo:
    def test_tells_about_the_server(self, desk: Desk) -> None:
        desk.start("a")
        desk.start("b")
        desk.call("timer.cancel", id="b")

        assert desk.result("server.info") == {
            "version": __version__,
            "protocol": PROTOCOL,
            "now_ms": BEGIN_NS // 1_000_000,
            "seq": 3,
            "counts": {"running": 1, "paused": 0, "fired": 0, "cancelled": 1},
            "limits": {
                "max_timers": 1_000_000,
                "max_payload_bytes": 65_536,
                "max_batch": 1000,
                "max_message_bytes": 1_048_576,
                "max_duration_s": 315_360_000,
                "retention_s": 86_400,
            },
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
        monkeypatch.setattr(methods_module, "PAGE_BYTES", 100)
        for timer_id in "abcde":
            desk.start(timer_id, payload=b'"' + b"x" * 60 + b'"')

        pages, after = [], None
        while True:
            page = desk.result("timer.list", after=after)
            pages.append([timer["id"] for timer in page["timers"]])
            if (after := page["next"]) is None:
                break

        assert pages == [["a", "b"], ["c", "d"], ["e"]]


class TestReadEvents:
    def read(self, desk: Desk, after: int, **params: object) -> tuple[list[int], int, bool]:
        page = desk.result("events.read", after={LOG_ID: after}, **params)
        return [event["seq"] for event in page["events"]], page["next"], page["truncated"]

    def test_gives_the_events_after_a_seq(self, desk: Desk) -> None:
        for timer_id in ("a", "b", "a/1"):
            desk.start(timer_id)
        desk.commit()

        assert self.read(desk, 0) == ([1, 2, 3], 3, False)
        assert self.read(desk, 1, limit=1) == ([2], 2, False)
        assert self.read(desk, 0, prefix="a") == ([1, 3], 3, False)
        assert self.read(desk, 3) == ([], 3, False)

    def test_does_not_tell_what_is_not_stored(self, desk: Desk) -> None:
        desk.start("a")
        desk.commit()
        desk.start("b")

        assert self.read(desk, 0) == ([1], 1, False)

    def test_timer_is_as_it_was_right_after(self, desk: Desk) -> None:
        desk.start("a")
        desk.commit()
        desk.now_ns += 10 * NS_PER_S
        desk.call("timer.pause", id="a")
        desk.commit()

        first, second = desk.result("events.read", after={})["events"]

        assert (first["kind"], first["timer"]["state"], first["timer"]["remaining_ms"]) == (
            "started",
            "running",
            60_000,
        )
        assert (second["kind"], second["at_ms"] - first["at_ms"]) == ("paused", 10_000)

    def test_says_that_retention_has_removed_some(self, desk: Desk) -> None:
        desk.start("old", hours=1000)
        desk.start("a")
        desk.call("timer.cancel", id="a")
        desk.forget(BEGIN_NS + 2 * DAY_NS)
        desk.start("b", BEGIN_NS + 2 * DAY_NS)
        desk.commit()

        assert self.read(desk, 0) == ([1, 4], 4, True)
        assert self.read(desk, 2) == ([4], 4, True)
        assert self.read(desk, 3) == ([4], 4, False)

    def test_reading_goes_on_behind_what_retention_has_removed(self, desk: Desk) -> None:
        desk.start("old", hours=1000)
        desk.start("a")
        desk.call("timer.cancel", id="a")
        desk.forget(BEGIN_NS + 2 * DAY_NS)

        assert self.read(desk, 0) == ([1], 3, True)
        assert self.read(desk, 1) == ([], 3, True)
        assert self.read(desk, 3) == ([], 3, False)

    def test_whoever_is_ahead_of_the_log_is_told_so(self, desk: Desk) -> None:
        desk.start("a")
        desk.commit()

        assert self.read(desk, 99) == ([], 1, True)
        assert self.read(desk, 99, wait_ms=1000) == ([], 1, True)

    def test_page_ends_early_where_its_payloads_are_large(self, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(methods_module, "PAGE_BYTES", 100)
        for timer_id in "abcde":
            desk.start(timer_id, payload=b'"' + b"x" * 60 + b'"')
        desk.commit()

        assert self.read(desk, 0) == ([1, 2], 2, False)
        assert self.read(desk, 4) == ([5], 5, False)

    def test_does_not_wait_while_there_is_more_to_look_through(
        self, desk: Desk, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What is asked for may stand behind what was looked at in one go."""
        monkeypatch.setattr(methods_module, "SCAN_MAXIMUM", 3)
        for timer_id in ("a", "b", "c", "d", "wanted"):
            desk.start(timer_id)
        desk.commit()

        assert self.read(desk, 0, prefix="wanted", wait_ms=1000) == ([], 3, False)
        assert self.read(desk, 3, prefix="wanted", wait_ms=1000) == ([5], 5, False)
