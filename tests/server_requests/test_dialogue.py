"""The seed's dialogue: three texts make a timer, each is echoed, and what is wrong is said and forgotten."""

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.builders import BEGIN_NS, NS_PER_S
from timer_protocol.errors import ErrorCode, Refusal
from timer_protocol.limits import DIALOGUE_LINES_A_SECOND
from timer_protocol.messages import StartParams
from timer_server.logs import log
from timer_server.requests import dialogue as seed_dialogue
from timer_server.requests.dialogue import TRIPLE_EXPIRES_NS, SeedDialogue

Triple = tuple[float, float, float]


class Dialogue:
    """A dialogue, and the timers it has started."""

    def __init__(self) -> None:
        self.started: list[Triple] = []
        self.now_ns = BEGIN_NS
        self.refuse: Refusal | None = None
        self._dialogue = SeedDialogue()

    def say(self, *texts: bytes, peer: bytes = b"peer") -> list[bytes]:
        return self._dialogue.reply(peer, texts, self.now_ns, self._start)

    def is_refused(self, *texts: bytes, peer: bytes = b"peer") -> str:
        """The reason that is given instead of an echo."""
        (reply,) = self.say(*texts, peer=peer)
        assert reply.startswith(b"error: ")
        return reply.decode().removeprefix("error: ")

    def _start(self, params: StartParams) -> None:
        if self.refuse is not None:
            raise self.refuse
        assert (params.id, params.label) == (None, "")
        self.started.append((params.hours, params.minutes, params.seconds))


@pytest.fixture
def dialogue() -> Dialogue:
    return Dialogue()


@pytest.fixture
def heard(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> pytest.LogCaptureFixture:
    """What is logged, whatever another test may have set up."""
    monkeypatch.setattr(log, "propagate", True)
    caplog.set_level(logging.INFO, logger=log.name)
    return caplog


class TestOneMessage:
    def test_starts_a_timer_and_is_echoed_frame_for_frame(self, dialogue: Dialogue) -> None:
        assert dialogue.say(b"1", b"30", b"5") == [b"1", b"30", b"5"]
        assert dialogue.started == [(1, 30, 5)]

    @pytest.mark.parametrize(
        ("texts", "amounts"),
        [
            ([b"0", b"0", b"1.5"], (0, 0, 1.5)),
            ([b"00", b"007", b"0.001"], (0, 7, 0.001)),
            ([b" 1 ", b"2\n", b"\t3\r\n"], (1, 2, 3)),
            ([b"0", b"0", b"90"], (0, 0, 90)),
        ],
    )
    def test_decimal_texts_in_all_their_forms(self, dialogue: Dialogue, texts: list[bytes], amounts: Triple) -> None:
        assert dialogue.say(*texts) == texts
        assert dialogue.started == [amounts]

    def test_drops_what_was_begun_in_single_frames(self, dialogue: Dialogue) -> None:
        dialogue.say(b"7")
        dialogue.say(b"0", b"0", b"5")
        for text in (b"1", b"2", b"3"):
            dialogue.say(text)

        assert dialogue.started == [(0, 0, 5), (1, 2, 3)]


class TestThreeMessages:
    def test_third_one_starts_the_timer_and_each_is_echoed(self, dialogue: Dialogue) -> None:
        assert dialogue.say(b"1") == [b"1"]
        assert dialogue.say(b"30") == [b"30"]
        assert dialogue.started == []
        assert dialogue.say(b"5") == [b"5"]

        assert dialogue.started == [(1, 30, 5)]

    def test_the_next_three_make_the_next_timer(self, dialogue: Dialogue) -> None:
        for text in (b"0", b"0", b"1", b"0", b"0", b"2"):
            dialogue.say(text)

        assert dialogue.started == [(0, 0, 1), (0, 0, 2)]

    def test_peers_do_not_meet(self, dialogue: Dialogue) -> None:
        peers = [bytes([number]) for number in range(5)]
        for text in (b"0", b"1", b"2"):
            for peer in peers:
                assert dialogue.say(text, peer=peer) == [text]

        assert dialogue.started == [(0, 1, 2)] * 5

    @given(st.permutations([number % 4 for number in range(12)]))
    def test_peers_in_any_order(self, order: list[int]) -> None:
        dialogue = Dialogue()
        said = [0, 0, 0, 0]
        for peer in order:
            said[peer] += 1
            dialogue.say(b"%d" % (peer * 10 + said[peer]), peer=bytes([peer]))

        assert sorted(dialogue.started) == [(peer * 10 + 1, peer * 10 + 2, peer * 10 + 3) for peer in range(4)]


class TestFaults:
    BAD = (b"x", b"", b" ", b"-1", b"+1", b"1e3", b"1.", b".5", b"0x10", b"1,5", b"NaN", b"inf", b"1 2", b"\xff", b"\0")

    @pytest.mark.parametrize("text", [*BAD, "٣".encode(), b"9" * 16, b"1." + b"0" * 16, b"1_0"])
    @pytest.mark.parametrize("position", [0, 1, 2])
    def test_text_that_is_no_decimal_number(self, dialogue: Dialogue, text: bytes, position: int) -> None:
        texts = [b"0", b"0", b"0"]
        texts[position] = text

        assert ("hours", "minutes", "seconds")[position] in dialogue.is_refused(*texts)
        assert dialogue.started == []

    @pytest.mark.parametrize("text", BAD)
    def test_bad_text_drops_the_triple_so_that_the_next_is_hours(self, dialogue: Dialogue, text: bytes) -> None:
        dialogue.say(b"7")
        dialogue.say(b"7")
        assert "hours" in dialogue.is_refused(text)
        for good in (b"1", b"2", b"3"):
            assert dialogue.say(good) == [good]

        assert dialogue.started == [(1, 2, 3)]

    def test_bad_text_of_one_peer_drops_nothing_of_another(self, dialogue: Dialogue) -> None:
        dialogue.say(b"1", peer=b"one")
        dialogue.is_refused(b"x", peer=b"other")
        dialogue.say(b"2", peer=b"one")
        dialogue.say(b"3", peer=b"one")

        assert dialogue.started == [(1, 2, 3)]

    @pytest.mark.parametrize("count", [0, 2, 4, 15])
    def test_other_numbers_of_frames(self, dialogue: Dialogue, count: int) -> None:
        assert f"got {count} frames" in dialogue.is_refused(*[b"1"] * count)

    def test_refusal_of_the_timer_is_the_answer_and_drops_the_triple(self, dialogue: Dialogue) -> None:
        dialogue.refuse = Refusal(ErrorCode.INVALID_PARAMS, "more than zero")
        dialogue.say(b"0")
        dialogue.say(b"0")
        assert "more than zero" in dialogue.is_refused(b"0")
        dialogue.refuse = None
        for text in (b"1", b"2", b"3"):
            dialogue.say(text)

        assert dialogue.started == [(1, 2, 3)]

    def test_reason_shows_only_the_beginning_of_a_long_text(self, dialogue: Dialogue) -> None:
        assert len(dialogue.is_refused(b"x" * 100_000)) < 200

    @given(st.lists(st.binary(max_size=20), max_size=5), st.lists(st.binary(max_size=20), max_size=5))
    def test_any_bytes(self, first: list[bytes], second: list[bytes]) -> None:
        dialogue = Dialogue()
        for texts in (first, second):
            reply = dialogue.say(*texts)
            assert reply == texts or (len(reply) == 1 and reply[0].startswith(b"error: "))


class TestForgetting:
    def test_half_a_triple_is_there_until_it_expires(self, dialogue: Dialogue) -> None:
        dialogue.say(b"1")
        dialogue.say(b"2")
        dialogue.now_ns += TRIPLE_EXPIRES_NS
        dialogue.say(b"3")

        assert dialogue.started == [(1, 2, 3)]

    def test_half_a_triple_expires_counted_from_its_beginning(self, dialogue: Dialogue) -> None:
        dialogue.say(b"7")
        dialogue.now_ns += TRIPLE_EXPIRES_NS - NS_PER_S
        dialogue.say(b"7")
        dialogue.now_ns += NS_PER_S + 1
        for text in (b"1", b"2", b"3"):
            dialogue.say(text)

        assert dialogue.started == [(1, 2, 3)]

    def test_half_finished_triples_are_bounded_and_the_oldest_goes(
        self, dialogue: Dialogue, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(seed_dialogue, "TRIPLES_MAXIMUM", 3)
        for peer in (b"a", b"b", b"c", b"d"):
            dialogue.say(b"7", peer=peer)
        for peer in (b"b", b"c", b"d"):
            dialogue.say(b"0", peer=peer)
            dialogue.say(b"1", peer=peer)
        for text in (b"1", b"2", b"3"):
            dialogue.say(text, peer=b"a")

        assert dialogue.started == [(7, 0, 1), (7, 0, 1), (7, 0, 1), (1, 2, 3)]


class TestLog:
    def test_every_good_text_is_logged(self, dialogue: Dialogue, heard: pytest.LogCaptureFixture) -> None:
        dialogue.say(b"0", b"0", b"5")
        dialogue.say(b"7")

        assert heard.messages == ["From client: 0", "From client: 0", "From client: 5", "From client: 7"]

    def test_a_flood_is_logged_in_part(self, dialogue: Dialogue, heard: pytest.LogCaptureFixture) -> None:
        for _ in range(DIALOGUE_LINES_A_SECOND + 50):
            dialogue.say(b"7")
        assert len(heard.messages) == DIALOGUE_LINES_A_SECOND

        dialogue.now_ns += NS_PER_S
        dialogue.say(b"8")

        assert heard.messages[-2:] == ["lines left out", "From client: 8"]
        assert heard.records[-2].fields == {"count": 50}  # type: ignore[attr-defined]

    @pytest.mark.parametrize("texts", [[b"x"], [b"0", b"0", b"x"], [b"0", b"0"], [b""], [b"\xff\n\x1b[31m"]])
    def test_nothing_of_a_bad_message_is_logged(
        self, dialogue: Dialogue, heard: pytest.LogCaptureFixture, texts: list[bytes]
    ) -> None:
        dialogue.is_refused(*texts)

        assert heard.messages == []
