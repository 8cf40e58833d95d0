"""The shards that a server owns, from the loading of their logs until they are given away or lost."""

from collections.abc import Callable

from timer_server.logs import fields, log
from timer_server.loop.loading import Loading
from timer_server.loop.pipeline_committer import PipelineCommitter
from timer_server.metrics import Metrics
from timer_server.requests.dispatch import Dispatcher
from timer_server.requests.placement import Shards
from timer_server.requests.shard import Shard
from timer_server.store.base import ShardLost


class Ownership:
    """What is done with shards as the member of the cluster decides."""

    def __init__(
        self,
        loading: Loading,
        shards: Shards,
        committer: PipelineCommitter,
        metrics: Metrics,
        dispatcher: Dispatcher,
    ) -> None:
        self.loading = loading
        self.committer = committer
        self._shards = shards
        self._metrics = metrics
        self._dispatcher = dispatcher
        self._giving: dict[int, Shard] = {}

    @property
    def served_count(self) -> int:
        """How many shards are served."""
        return len(self._shards.owned)

    def serve(self, number: int, epoch: int, ahead_ns: int, now_ns: int) -> None:
        """Serves a shard that was loaded, from now on."""
        shard, store = self.loading.loaded.pop(number)
        shard.epoch, shard.ahead_ns = epoch, ahead_ns
        shard.engine.start_server(shard.at(now_ns))
        self.committer.add(store)
        self._take_up(shard)

    def refuse(self, number: int, last_place: int, found_place: int) -> None:
        """Serves a shard not at all, as its log is not whole."""
        if number in self.loading.loaded:
            told = fields(shard=number, ends_at=found_place, should_end_at=last_place)
            log.error("a shard cannot be served: its log does not end where it should", extra=told)
        self.loading.forget(number)
        self._metrics.refused.add(number)

    def give(self, number: int, to: str | None, now_ns: Callable[[], int]) -> None:
        """Serves a shard no longer, and gives it to another server, or to nobody, once all of it is durable."""
        shard = self._giving[number] = self._shards.remove(number)
        self._metrics.drop(number)
        self._dispatcher.wait_again({number}, now_ns())
        self.committer.give(number, to, lambda: shard.at(now_ns()))

    def given(self, number: int) -> None:
        """Notes that a shard is another server's, or nobody's, and all of it durable."""
        if self._giving.pop(number, None) is not None:
            log.info("shard given", extra=fields(shard=number))

    def raised(self, number: int, epoch: int) -> None:
        """The epoch of a shard was raised. One that was to be given is served on."""
        if (given := self._giving.pop(number, None)) is not None:
            given.engine.come_back()
            self._take_up(given)
        for shard in self._shards.owned:
            if shard.number == number:
                shard.epoch = epoch

    def drop(self, number: int) -> ShardLost | None:
        """Serves a shard no longer. Returns it as lost where something of it may be in flight."""
        self.loading.forget(number)
        self._metrics.refused.discard(number)
        self.committer.remove(number)
        is_in_flight = self._giving.pop(number, None) is not None
        if any(shard.number == number for shard in self._shards.owned):
            self._shards.remove(number)
            self._metrics.drop(number)
            is_in_flight = True
        return ShardLost({number}, f"another server has taken shard {number}") if is_in_flight else None

    def drop_all(self, reason: str) -> ShardLost:
        """Serves no shard any longer, and returns those of which something may be in flight as lost."""
        return ShardLost([number for number in range(self._shards.count) if self.drop(number) is not None], reason)

    def _take_up(self, shard: Shard) -> None:
        self._shards.add(shard)
        self._metrics.take_up(shard.number, shard.engine.counts())
