"""Telling every shard which queues there are: the home of each decides, and the others hear of it once that is durable.

So no shard knows of anything that a crash could take back at the home. Whoever puts or deletes a queue waits until all
shards have it. A shard that was not there meanwhile hears what it has missed when it comes.
"""

from collections import deque
from collections.abc import Iterable
from typing import NamedTuple

from timer_server.core.queues.rules import Gone, Rule, untold
from timer_server.requests.placement import Shards, shard_number
from timer_server.requests.shard import Shard


class _News(NamedTuple):
    """What a home has decided. It is told once the home's log is durable up to a place."""

    home: Shard
    place: int
    content: Rule | Gone


class QueueRules:
    """What the shards of a server have yet to hear of each other's queues.

    It is a chore too: the step of a turn tells what has become durable, and compares the shards where others have come.
    """

    def __init__(self, shards: Shards) -> None:
        self._shards = shards
        self._news: deque[_News] = deque()
        self._compared: tuple[Shard, ...] = ()
        self._to_compare: deque[Shard] = deque()

    def note(self, home: Shard, content: Rule | Gone) -> None:
        """Notes what a home has just decided, for all other shards."""
        if self._shards.count > 1:
            self._news.append(_News(home, home.engine.log_news(), content))

    def is_everywhere(self, content: Rule | Gone) -> bool:
        """Whether all shards have heard that, or what is newer. Raises `Refusal` (shutting_down) where one is gone."""
        if isinstance(content, Gone) and any(_is_over(news.content, content) for news in self._news):
            return False
        return all(_has_heard(shard, content) for shard in self._shards.all())

    def next_due_ns(self) -> int | None:
        """Now, where there is something to tell."""
        return 0 if self._is_due() else None

    def step(self, now_ns: int, _budget: int) -> None:
        """Tells what is durable; where shards have come, has one home compare what it has with what all have heard."""
        if self._compared is not self._shards.owned:
            self._compared = self._shards.owned
            self._to_compare = deque(self._compared if len(self._compared) > 1 else ())
            self._news = deque(news for news in self._news if news.home in self._compared)
        while self._news and _is_durable(self._news[0]):
            self._tell(self._compared, [self._news.popleft().content], now_ns)
        if self._to_compare:
            self._compare(self._to_compare.popleft(), now_ns)

    # Parts

    def _is_due(self) -> bool:
        is_changed = self._compared is not self._shards.owned
        return is_changed or bool(self._to_compare) or (bool(self._news) and _is_durable(self._news[0]))

    def _compare(self, home: Shard, now_ns: int) -> None:
        """Tells each shard what it has missed of a home. What the home has just decided is told later."""
        waiting = {news.content.queue for news in self._news}
        rules = [rule for rule in self._of_home(home, home) if rule.queue not in waiting]
        for shard in self._compared:
            if shard is not home:
                heard = {rule.queue: rule.standing for rule in self._of_home(home, shard) if rule.queue not in waiting}
                self._tell([shard], untold(rules, heard), now_ns)

    def _of_home(self, home: Shard, shard: Shard) -> list[Rule]:
        """What a shard knows of the queues of a home."""
        count = self._shards.count
        return [rule for rule in shard.queues.rules() if shard_number(rule.queue, count) == home.number]

    def _tell(self, shards: Iterable[Shard], contents: Iterable[Rule | Gone], now_ns: int) -> None:
        for content in contents:
            for shard in shards:
                if not _has_heard(shard, content):
                    after, to = shard.engine.horizon, shard.engine.last_place
                    shard.queues.hear(content, after, to, shard.at(now_ns))
            self._shards.parked.wake_takes([line_of(content.queue)])


def line_of(queue: str) -> str:
    """The line of those who wait until all shards have heard of a queue. No queue has such a name."""
    return f"{queue}~rule"


def _is_durable(news: _News) -> bool:
    return news.home.log.durable_place >= news.place


def _is_over(content: Rule | Gone, gone: Gone) -> bool:
    """Whether something is said of a queue that is gone. Who has yet to hear that would make the queue once more."""
    return content.queue == gone.queue and content.made <= gone.made


def _has_heard(shard: Shard, content: Rule | Gone) -> bool:
    """Whether a shard has heard that, or what is newer."""
    standing = shard.queues.standing(content.queue)
    if isinstance(content, Gone):
        return standing is None or standing.made > content.made
    return standing is not None and standing >= content.standing
