"""How many timers there is room for: on the disk, in all, and below each prefix."""

from functools import partial

from core.refusals import code, refusal
from drivers.builders import BEGIN_NS, NS_PER_S, Bench
from timer_protocol.errors import ErrorCode
from timer_protocol.messages import CancelParams, ExtendParams, PauseParams, RestartParams
from timer_server.core.engine import ENTRY_BYTES

LATER_NS = BEGIN_NS + NS_PER_S


class TestRoom:
    def test_on_a_disk_that_is_nearly_full_timers_only_end(self) -> None:
        bench = Bench()
        bench.start("a")
        bench.start("b", seconds=1)
        bench.engine.limit_growth(2 * ENTRY_BYTES + len("null"))
        bench.start("c")
        bench.ask(ExtendParams("a", seconds=1, key="k"))

        refused = refusal(lambda: bench.start("d"))
        told = {"limit": "disk_bytes", "maximum": 0, "scope": "server", "later": True}
        assert (refused.code, refused.help) == (ErrorCode.LIMIT_REACHED, told)
        assert "disk is nearly full" in refused.reason
        for params in (ExtendParams("a", seconds=1), PauseParams("a"), RestartParams("a")):
            assert refusal(partial(bench.ask, params)).help == told
        assert bench.start("a").id == "a"  # copies of what was done have no effect
        bench.ask(ExtendParams("a", seconds=1, key="k"))
        assert bench.ask(CancelParams("a")).state == "cancelled"
        assert bench.get("b", LATER_NS).state == "fired"

        bench.engine.limit_growth(None)
        assert bench.start("d").state == "running"

    def test_pending_timers_are_limited_and_ended_ones_do_not_count(self) -> None:
        bench = Bench(max_timers=2)
        bench.start("a")
        bench.start("b")
        bench.ask(PauseParams("b"))

        refused = refusal(lambda: bench.start("c"))
        bench.ask(CancelParams("a"))

        told = {"limit": "max_timers", "maximum": 2, "scope": "server", "later": True}
        assert (refused.code, refused.help) == (ErrorCode.LIMIT_REACHED, told)
        assert refused.reason == "2 timers are pending and max_timers allows no more"
        assert bench.start("c").state == "running"

    def test_restart_of_an_ended_timer_needs_room_and_of_a_pending_one_does_not(self) -> None:
        bench = Bench(max_timers=1)
        bench.start("a")
        bench.ask(CancelParams("a"))
        bench.start("b")

        refused = refusal(lambda: bench.ask(RestartParams("a")))
        assert refused.code is ErrorCode.LIMIT_REACHED
        assert refused.reason == "1 timer is pending and max_timers allows no more"
        assert bench.ask(RestartParams("b")).state == "running"

    def test_retry_of_a_start_needs_no_room(self) -> None:
        bench = Bench(max_timers=1)

        assert bench.start("a") == bench.start("a")


class TestShares:
    """Some of the ids begin with a prefix that has a share. The machine counts what is held in each."""

    def test_start_beyond_a_share_is_refused_and_others_go_on(self) -> None:
        bench = Bench()
        bench.engine.places.share_out({"shop/": 1, "shop/eu/": 2})
        bench.start("shop/eu/1")

        refused = refusal(lambda: bench.start("shop/1"))

        told = {"limit": "max_timers", "maximum": 1, "scope": "key", "later": True}
        assert (refused.code, refused.help) == (ErrorCode.LIMIT_REACHED, told)
        assert refused.reason == "1 timer is pending below 'shop/', and max_timers of its key is 1"
        assert refusal(lambda: bench.start("shop/eu/2")).reason == refused.reason
        assert bench.start("shop").state == "running"

    def test_a_share_below_what_is_held_takes_nothing_and_gives_room_once_enough_has_ended(self) -> None:
        bench = Bench()
        for timer_id in ("shop/1", "shop/2", "shop/3"):
            bench.start(timer_id, label=timer_id)
        bench.engine.places.share_out({"shop/": 2})
        assert bench.engine.counts().running == 3
        assert bench.start("shop/1", label="shop/1").version == 1  # a repeat finds the first one

        for timer_id, pending in (("shop/1", 3), ("shop/2", 2)):
            reason = refusal(lambda: bench.start("shop/4")).reason
            assert reason == f"{pending} timers are pending below 'shop/', and max_timers of its key is 2"
            bench.ask(CancelParams(timer_id))

        assert bench.start("shop/4").state == "running"
        assert code(lambda: bench.ask(RestartParams("shop/1"))) is ErrorCode.LIMIT_REACHED
        assert bench.ask(RestartParams("shop/3")).state == "running"  # it was pending

    def test_id_counts_once_in_each_share_whose_prefix_it_begins_with(self) -> None:
        bench = Bench()
        bench.engine.places.share_out({"s": 3, "shop/": 1, "shop/eu/": 1, "bank/": 1})
        for timer_id in ("s", "shop", "shop/"):
            assert bench.start(timer_id).state == "running"

        reason = refusal(lambda: bench.start("shoe")).reason
        assert reason == "3 timers are pending below 's', and max_timers of its key is 3"

    def test_share_counts_what_was_stored(self) -> None:
        bench = Bench()
        bench.start("shop/1")
        bench.start("shop/2")
        bench.ask(PauseParams("shop/2"))
        bench.start("shop/3")
        bench.ask(CancelParams("shop/3"))
        bench.commit()
        bench.reload()

        bench.engine.places.share_out({"shop/": 2})

        assert code(lambda: bench.start("shop/4")) is ErrorCode.LIMIT_REACHED
        bench.engine.places.share_out({})
        assert bench.start("shop/4").state == "running"
