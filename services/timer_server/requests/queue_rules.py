"""Telling every shard which queues there are: the home of each decides, and the others hear of it once that is durable.

So no shard knows of anything that a crash could take back at the home. Whoever puts or deletes a queue waits until all
shards have it. A shard that was not there meanwhile hears what it has missed when it comes.

Shards of other servers are told by the server that owns the home, and by no other, so that they hear all of it in the
order in which it was decided. A server that takes up shards compares them with those of others, in both directions.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from msgspec import Struct

from timer_protocol.durations import NS_PER_MS
from timer_protocol.errors import ErrorCode, Refusal
from timer_server.core.queues.rules import Gone, Rule, untold
from timer_server.requests.aside import Aside
from timer_server.requests.asking import Asking
from timer_server.requests.gathering import Dialogue
from timer_server.requests.placement import Shards, shard_number
from timer_server.requests.room import ReplyRoom
from timer_server.requests.shard import Shard

_TOLD_AT_ONCE = 100
"""Rules in one message to other servers."""

_AGAIN_NS = 500 * NS_PER_MS
"""When other servers are told again, where they could not be."""


class _News(NamedTuple):
    """What a home has decided. It is told once the home's log is durable up to a place."""

    home: Shard
    place: int
    content: Rule | Gone


class HomeRules(Struct, frozen=True):
    """The queues of a home, all up to a place of its log: those that were made later have a higher `made`.

    Those in `waiting` are left out: what was decided about them is told by itself.
    """

    home: int
    place: int
    rules: list[Rule]
    waiting: list[str]


class News(Struct, frozen=True):
    """What the homes of one server have decided, in order: rules, and queues that are gone since."""

    told: list[tuple[Rule | None, Gone | None]]

    @classmethod
    def of(cls, contents: Iterable[Rule | Gone]) -> "News":
        """The news of some contents."""
        return cls([(one, None) if isinstance(one, Rule) else (None, one) for one in contents])

    def contents(self) -> Iterator[Rule | Gone]:
        """What is told, in order."""
        for rule, gone in self.told:
            content = rule or gone
            assert content is not None
            yield content


class QueueRules:
    """What the shards have yet to hear of each other's queues.

    It is a chore too: the step of a turn tells what has become durable, and compares the shards where others have come.
    """

    def __init__(self, shards: Shards, aside: Aside | None = None) -> None:
        """`aside` has the dialogues with other servers, if there may be any."""
        self._shards = shards
        self._aside = aside
        self._news: deque[_News] = deque()
        self._compared: tuple[Shard, ...] = ()
        self._to_compare: deque[Shard] = deque()
        self._elsewhere: deque[tuple[Shard, Rule | Gone]] = deque()
        """What other servers have yet to be told."""
        self._unlike: dict[Shard, None] = {}
        """Shards that have not been compared with those of other servers since they came."""
        self._answers: deque[list[HomeRules]] = deque()
        """What homes of other servers have, to be compared with."""
        self._is_talking = False
        self._not_before_ns = 0
        self._awaited: dict[str, None] = {}
        """The lines of those who wait until all shards have heard of a queue."""

    def note(self, home: Shard, content: Rule | Gone) -> None:
        """Notes what a home has just decided, for all other shards."""
        if self._shards.count > 1:
            self._news.append(_News(home, home.engine.log_news(), content))

    def is_everywhere(self, content: Rule | Gone) -> bool:
        """Whether all shards have heard that, or what is newer. Raises `Refusal` (shutting_down) where one is gone that
        nobody else could be asked about."""
        if isinstance(content, Gone) and any(_is_over(news.content, content) for news in self._news):
            return False
        if self._shards.are_all_here or self._aside is None:
            return all(has_heard(shard, content) for shard in self._shards.all())
        if self._has_been_told(content) and all(has_heard(shard, content) for shard in self._shards.owned):
            return True
        self._awaited[line_of(content.queue)] = None
        return False

    def next_due_ns(self) -> int | None:
        """Now, where there is something to tell."""
        if self._is_due():
            return 0
        return self._not_before_ns if self._has_to_talk() else None

    def step(self, now_ns: int, _budget: int) -> None:
        """Tells what is durable; where shards have come, has one home compare what it has with what all have heard."""
        if self._compared is not self._shards.owned:
            self._follow()
        while self._answers:
            homes = self._answers.popleft()
            self._catch_up(self._compared, homes, now_ns)
        while self._news and _is_durable(self._news[0]):
            news = self._news.popleft()
            if self._aside is not None and not self._shards.are_all_here:
                self._elsewhere.append((news.home, news.content))
            self._tell(self._compared, [news.content], now_ns)
        if self._to_compare:
            self._compare(self._to_compare.popleft(), now_ns)
        if self._has_to_talk() and now_ns >= self._not_before_ns:
            assert self._aside is not None
            self._not_before_ns = now_ns + _AGAIN_NS
            self._aside.begin(self._talk())

    # What other servers ask

    def hear(self, shards: Sequence[Shard], news: News, now_ns: int) -> bool:
        """Has some shards of this server hear what homes elsewhere have decided. It needs no room in the log."""
        for content in news.contents():
            self._end_takes(shards, content, now_ns)
            self._tell(shards, [content], now_ns)
        return True

    def compare(self, shards: Sequence[Shard], homes: Sequence[HomeRules], now_ns: int) -> list[HomeRules]:
        """Has some shards of this server hear what they have missed of homes elsewhere; returns what theirs have."""
        self._catch_up(shards, homes, now_ns)
        return [self._rules_of(shard) for shard in shards]

    # Parts

    def _is_due(self) -> bool:
        is_changed = self._compared is not self._shards.owned
        is_told = bool(self._news) and _is_durable(self._news[0])
        return is_changed or is_told or bool(self._to_compare) or bool(self._answers)

    def _has_been_told(self, content: Rule | Gone) -> bool:
        """Whether nothing about a queue of this server is on its way to others, nor may be missing there."""
        home = shard_number(content.queue, self._shards.count)
        is_on_its_way = any(news.content.queue == content.queue for news in self._news) or any(
            told.queue == content.queue for _, told in self._elsewhere
        )
        return not is_on_its_way and all(shard.number != home for shard in self._unlike)

    def _has_to_talk(self) -> bool:
        """Whether other servers are to be told or asked something, and nothing is under way."""
        return self._aside is not None and not self._is_talking and bool(self._elsewhere or self._unlike)

    def _follow(self) -> None:
        """Notes which shards have come and gone."""
        come = [shard for shard in self._shards.owned if shard not in self._compared]
        self._compared = owned = self._shards.owned
        self._to_compare = deque(owned if len(owned) > 1 else ())
        self._news = deque(news for news in self._news if news.home in owned)
        self._elsewhere = deque((home, content) for home, content in self._elsewhere if home in owned)
        if self._aside is not None and not self._shards.are_all_here:
            known = [shard for shard in self._unlike if shard in owned]
            self._unlike = dict.fromkeys([*known, *come])
            self._not_before_ns = 0
        else:
            self._elsewhere.clear()
            self._unlike.clear()

    def _compare(self, home: Shard, now_ns: int) -> None:
        """Tells each shard what it has missed of a home. What the home has just decided is told later."""
        self._catch_up([shard for shard in self._compared if shard is not home], [self._rules_of(home)], now_ns)

    def _rules_of(self, home: Shard) -> HomeRules:
        """What a home has, but for what other shards will be told by itself."""
        waiting = {news.content.queue for news in self._news}
        rules = [rule for rule in self._of_home(home.number, home) if rule.queue not in waiting]
        return HomeRules(home.number, home.log.durable_place, rules, sorted(waiting))

    def _catch_up(self, shards: Iterable[Shard], homes: Iterable[HomeRules], now_ns: int) -> None:
        """Tells some shards what they have missed of some homes."""
        for home in homes:
            waiting = set(home.waiting)
            for shard in shards:
                heard = {
                    rule.queue: rule.standing
                    for rule in self._of_home(home.home, shard)
                    if rule.queue not in waiting and rule.made <= home.place
                }
                for content in untold(home.rules, heard):
                    self._end_takes([shard], content, now_ns)
                    self._tell([shard], [content], now_ns)

    def _of_home(self, home: int, shard: Shard) -> list[Rule]:
        """What a shard knows of the queues of a home."""
        count = self._shards.count
        return [rule for rule in shard.queues.rules() if shard_number(rule.queue, count) == home]

    def _tell(self, shards: Iterable[Shard], contents: Iterable[Rule | Gone], now_ns: int) -> None:
        for content in contents:
            for shard in shards:
                if not has_heard(shard, content):
                    after, to = shard.engine.horizon, shard.engine.last_place
                    shard.queues.hear(content, after, to, shard.at(now_ns))
            self._wake([line_of(content.queue)])

    def _wake(self, lines: Iterable[str]) -> None:
        for line in lines:
            self._awaited.pop(line, None)
        self._shards.parked.wake_takes(lines)

    def _end_takes(self, shards: Sequence[Shard], content: Rule | Gone, now_ns: int) -> None:
        """Tells who waits here for a queue that is gone, or whose prefix is another now."""
        known = next((rule for shard in shards if (rule := shard.queues.rule(content.queue)) is not None), None)
        if known is None or all(has_heard(shard, content) for shard in shards):
            return
        if isinstance(content, Gone):
            self._shards.parked.end_takes(content.queue, now_ns, was_deleted(content.queue))
        elif known.settings.prefix != content.settings.prefix:
            self._shards.parked.end_takes(content.queue, now_ns)

    def _talk(self) -> Dialogue:
        """Compares shards that have come with those of other servers, and tells these what homes have decided here."""
        self._is_talking = True  # here, since what is put off is closed before it has begun
        asking = Asking(self._shards.count, ReplyRoom())
        try:
            while others := asking.all - {shard.number for shard in self._shards.owned}:
                if come := list(self._unlike):
                    mine = Compared([self._rules_of(shard) for shard in come])
                    self._answers += asking.values((yield asking.same("shards.compare", mine, others)))
                    for shard in come:
                        self._unlike.pop(shard, None)
                elif told := list(self._elsewhere)[:_TOLD_AT_ONCE]:
                    news = News.of(one for _, one in told)
                    asking.values((yield asking.same("shards.hear", news, others)))
                    self._elsewhere = deque(entry for entry in self._elsewhere if entry not in told)
                else:
                    break
            self._not_before_ns = 0
            return None
        finally:
            self._is_talking = False
            self._wake(list(self._awaited))


class Compared(Struct, frozen=True):
    """The homes of one server, as others are to compare them with what they have heard."""

    homes: list[HomeRules]


def line_of(queue: str) -> str:
    """The line of those who wait until all shards have heard of a queue. No queue has such a name."""
    return f"{queue}~rule"


def was_deleted(name: str) -> Refusal:
    """What those are told who wait for a queue that is gone."""
    return Refusal(ErrorCode.QUEUE_NOT_FOUND, f"queue {name!r} was deleted", queue=name)


def has_heard(shard: Shard, content: Rule | Gone) -> bool:
    """Whether a shard has heard that, or what is newer."""
    standing = shard.queues.standing(content.queue)
    if isinstance(content, Gone):
        return standing is None or standing.made > content.made
    return standing is not None and standing >= content.standing


def _is_durable(news: _News) -> bool:
    return news.home.log.durable_place >= news.place


def _is_over(content: Rule | Gone, gone: Gone) -> bool:
    """Whether something is said of a queue that is gone. Who has yet to hear that would make the queue once more."""
    return content.queue == gone.queue and content.made <= gone.made
