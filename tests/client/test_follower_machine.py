"""The follower in any weather: whatever servers and sockets do, each event once and in order. No sockets."""

from collections.abc import Iterator, Mapping

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from client.model_logs import Logs, topic_of
from client.model_servers import Servers, events_of
from timer_client import Cursor, EventsTruncated
from timer_client.follower import Follower
from timer_client.vigil import SILENCE_S
from timer_protocol.messages import EventKind

IDS = ("order/4", "order/42", "tea")
KINDS: tuple[EventKind, ...] = ("started", "paused", "fired")


@settings(max_examples=2 * settings.default.max_examples)
class AnyWeather(RuleBasedStateMachine):
    """A store whose logs are restored and replaced, servers that come, go and hand logs over, connections that drop,
    delay and reorder, and one watcher.
    """

    @initialize(
        prefix=st.sampled_from(["", "order/", "order/42 ", "order/42 fired", "tea"]),
        logs=st.integers(1, 3),
        servers=st.integers(1, 3),
        before=st.integers(0, 3),
        ends_in_silence=st.booleans(),
    )
    def begin(self, prefix: str, logs: int, servers: int, before: int, ends_in_silence: bool) -> None:
        self.prefix = prefix.encode()
        self.ends_in_silence = ends_in_silence
        self.logs = Logs(logs)
        self.servers = Servers(self.logs, servers)
        for number in range(before):
            self.happen(number, "order/42", "fired", dropped=0)
        self.servers.lose()
        self.watch(self.logs.ends)
        self.servers.is_heard = lambda endpoint: endpoint in self.follower.roster.endpoints
        self.skipped = self.labels()
        self.handed_out: list[str] = []

    @rule(
        place=st.integers(0, 2), timer_id=st.sampled_from(IDS), kind=st.sampled_from(KINDS), dropped=st.integers(0, 3)
    )
    def happen(self, place: int, timer_id: str, kind: EventKind, dropped: int) -> None:
        """One event that the log's owner sends, after some that are dropped."""
        for number in reversed(range(dropped + 1)):
            happened = self.logs.happen(self.log_id(place), timer_id, kind)
            if number == 0 and topic_of(happened).startswith(self.prefix):
                self.servers.publish(happened)

    @rule(place=st.integers(0, 3), knows_all=st.booleans())
    def beat(self, place: int, knows_all: bool) -> None:
        if knows_all:
            self.servers.tell_all()
        self.servers.beat(self.servers.at(place))

    @rule(place=st.integers(0, 3), keep=st.booleans(), noticed=st.booleans())
    def lose_or_restore_connection(self, place: int, keep: bool, noticed: bool) -> None:
        name = self.servers.at(place)
        self.servers.cut_off ^= {name}
        if name not in self.servers.cut_off:
            if noticed:
                self.follower.resync()
        elif not keep:
            self.servers.lose(name)

    @rule(place=st.integers(0, 2), to=st.none() | st.integers(0, 3))
    def move(self, place: int, to: int | None) -> None:
        """A log gets another owner, or none."""
        self.servers.owners[self.log_id(place)] = None if to is None else self.servers.at(to)

    @rule(place=st.none() | st.integers(0, 3))
    def join_or_leave(self, place: int | None) -> None:
        if place is None:
            self.servers.join()
        else:
            self.servers.leave(self.servers.at(place))

    @rule(listened_s=st.floats(0, 1.5 * SILENCE_S))
    def listen(self, listened_s: float) -> None:
        self.follower.listen(listened_s)

    @rule(place=st.integers(0, 2), lost=st.none() | st.integers(0, 3))
    def replace(self, place: int, lost: int | None) -> None:
        """Another log takes the place of one: a new one, or a copy without the last events."""
        log_id = self.log_id(place)
        if lost is None:
            self.logs.replace(log_id)
        else:
            self.logs.restore(log_id, max(self.logs.ends[log_id] - lost, 0))
        self.servers.succeed(log_id)

    @rule(places=st.lists(st.integers(0, 3), min_size=1, max_size=8), limit=st.integers(1, 3), scan=st.integers(1, 4))
    def follow(self, places: list[int], limit: int, scan: int) -> None:
        for place in places:
            self.step(place, limit, scan, leaves=place == 3)

    @rule()
    def come_to_rest(self) -> None:
        """The watcher does all that there is to do, so only what comes later leads it to more."""
        while self.follower.roster.is_outdated or self.follower.behind or self.servers.arriving():
            self.step(0, 2, 3, leaves=False)

    def step(self, place: int, limit: int, scan: int, leaves: bool) -> None:
        """What a watcher does next: ask, read if it is behind, otherwise listen. It may leave a page half way."""
        if self.follower.roster.is_outdated:
            self.follower.roster.take(self.servers.info(self.servers.at(place)))
        elif self.follower.behind:
            self.read(limit, scan, leaves)
        elif arriving := self.servers.arriving():
            heard = self.follower.hear(arriving[place % len(arriving)].popleft())
            self.handed_out += [] if heard is None else [heard.timer.label]

    def read(self, limit: int, scan: int, leaves: bool) -> None:
        cursor = self.follower.cursor
        if cursor and not self.logs.knows(cursor):
            self.skipped |= self.labels()  # it goes on at the end, and lists
        try:
            for event in self.follower.take(self.logs.read(cursor, self.follower.id_prefix, limit, scan)):
                self.handed_out.append(event.timer.label)
                if leaves:
                    self.watch(self.follower.cursor)
                    return
        except EventsTruncated as truncated:
            self.watch(truncated.resume_after)

    def watch(self, after: Mapping[str, int]) -> None:
        """A new watcher goes on, which knows of the first server alone."""
        self.follower = Follower(self.prefix.decode(), Cursor(after), [events_of("s1")])

    @invariant()
    def in_order_and_without_gaps(self) -> None:
        if hasattr(self, "follower"):
            assert len(set(self.handed_out)) == len(self.handed_out)
            for handed_out, expected in self.by_log():
                assert handed_out == expected[: len(handed_out)]

    def by_log(self) -> Iterator[tuple[list[str], list[str]]]:
        """For each log that there is: what was handed out of it, and what matches from where the watcher began."""
        for log in self.logs.by_id.values():
            labels = {event.timer.label for event in log.events}
            matching = [event.timer.label for event in log.events if topic_of(event).startswith(self.prefix)]
            yield (
                [label for label in self.handed_out if label in labels],
                [label for label in matching if label not in self.skipped],
            )

    def labels(self) -> set[str]:
        """The labels of all events that there are."""
        return {event.timer.label for log in self.logs.by_id.values() for event in log.events}

    def log_id(self, place: int) -> str:
        """The id of one of the logs."""
        return list(self.logs.by_id)[place % len(self.logs.by_id)]

    def teardown(self) -> None:
        if hasattr(self, "follower"):
            if self.ends_in_silence:
                self.servers.lose()
                self.fall_silent()
            else:
                self.settle()
                assert set(self.follower.roster.endpoints) == {events_of("s1"), *map(events_of, self.servers.names)}
            assert all(handed_out == expected for handed_out, expected in self.by_log())
            assert self.follower.cursor == self.logs.ends

    def fall_silent(self) -> None:
        """No beat comes any more: reading is enough."""
        self.follower.listen(SILENCE_S)
        self.come_to_rest()

    def settle(self) -> None:
        """Every log has an owner, and every server is connected and beats.

        One beat leads a watcher to all servers, and the next tells it of all logs. If that shows a loss, a new watcher
        goes on, whom another beat leads to all servers. As it begins after the loss, it is the last.
        """
        self.servers.cut_off.clear()
        self.servers.tell_all()
        for log_id, owner in self.servers.owners.items():
            self.servers.owners[log_id] = owner or self.servers.at(0)
        for _ in range(3):
            for name in self.servers.names:
                self.servers.beat(name)
            self.come_to_rest()
            if not any(self.servers.is_heard(events_of(name)) for name in self.servers.names):
                self.fall_silent()  # all servers that it knows of have gone


TestAnyWeather = AnyWeather.TestCase
