"""Receipts of deliveries: their texts, and how long it is remembered that one was settled."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.queue_game import Game
from drivers.builders import LOG_ID
from timer_protocol.errors import ErrorCode, Refusal
from timer_server.core.queues import queue
from timer_server.core.queues.queue import GivingBack
from timer_server.core.queues.receipts import Receipts
from timer_server.core.queues.settled import GENERATION_RECEIPTS, SettledReceipts


class TestReceipts:
    receipts = Receipts(LOG_ID, "email")

    @given(st.integers(1, 2**63))
    def test_read_as_they_were_made(self, number: int) -> None:
        assert self.receipts.numbers([self.receipts.text(number)]) == [number]

    def test_of_an_earlier_log_stand_for_no_number(self) -> None:
        other = Receipts("Ab3_-x9yzQ0", "email").text(5)

        assert self.receipts.numbers([other, self.receipts.text(7)]) == [None, 7]

    @pytest.mark.parametrize(
        "text",
        ["", "x", "~~", "short~email~1", f" {LOG_ID}~email~1", f"{LOG_ID}~email~1~", "x" * 160]
        + [f"{LOG_ID}~email~{number}" for number in ("", "x", "05", "+5", "1_0", "٥", "0")],
    )
    def test_other_texts_are_none(self, text: str) -> None:
        with pytest.raises(Refusal, match="is no receipt") as refused:
            self.receipts.numbers([text])

        assert refused.value.code == ErrorCode.INVALID_PARAMS

    @pytest.mark.parametrize("log_id", [LOG_ID, "Ab3_-x9yzQ0"])
    def test_of_another_queue_are_refused(self, log_id: str) -> None:
        with pytest.raises(Refusal, match="is a receipt of queue 'sms', not of 'email'"):
            self.receipts.numbers([Receipts(log_id, "sms").text(3)])


class TestMemoryOfReceipts:
    def test_the_last_100_000_receipts_of_a_log_are_done_again_after_a_restart_too(self) -> None:
        known = SettledReceipts()
        for number in range(1, 250_001):
            known.remember("qr"[number % 2], [number], True, known.generation)

        assert all(known.is_known("qr"[number % 2], number, True) for number in range(150_001, 250_001, 77))
        assert not known.is_known("r", 1, True)
        assert not known.is_known("q", 249_999, True)
        assert sum(len(receipts) for _, receipts in known.frozen("q")) <= 3 * GENERATION_RECEIPTS

    def test_the_order_in_which_generations_are_read_does_not_matter(self) -> None:
        known = SettledReceipts()
        for generation in (7, 3, 8, 0, 9):
            known.remember("q", [generation], True, generation)

        assert [known.is_known("q", generation, True) for generation in (0, 3, 4, 7, 8, 9)] == [
            False,
            False,
            False,
            True,
            True,
            True,
        ]
        assert known.generation == 9

    def test_an_ack_is_done_again_after_a_snapshot_and_a_restart(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(queue, "SNAPSHOT_FLOOR_BYTES", 0)
        game = Game()
        game.end(3)
        acked, given_up, lost = game.take()
        game.ack([acked])
        game.queues.nack("q", [given_up], GivingBack("dead"), game.now_ns)
        game.step()
        game.log.horizon = game.log.last_place
        game.restart()

        assert game.ack([acked, given_up]) == ([acked], [given_up])
        assert game.queues.nack("q", [acked, given_up], GivingBack(), game.now_ns) == ([given_up], [acked])
        assert game.ack([lost, lost]) == ([lost], [])

    def test_numbers_of_leases_go_on_after_all_queues_are_deleted(self) -> None:
        game = Game()
        game.end(2)
        (first, second) = game.take()
        game.queues.delete("q", game.now_ns)
        game.log.take_drafts(game.queues)
        game.log.horizon = game.log.last_place
        game.restart()
        game.put("q", begin="start")
        game.end()

        assert game.take() == [second + 1]
        assert game.ack([first]) == ([], [first])
