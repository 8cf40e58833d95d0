"""What a batch has done already while one of its requests waits: once that is durable, it is not to be done anew."""

from timer_server.requests.answers import JsonAnswer, PartAnswer


class Settling(PartAnswer):
    """Travels with the turn in which requests of an open batch were applied. Told of its end, the batch forgets them.

    If it kept them, a shard that is lost an hour later would have them done a second time, after all that came since.
    """

    def __init__(self, batch: JsonAnswer, slot: int | None = None) -> None:
        """`slot` is that of one request; otherwise all are meant that have been applied."""
        super().__init__(batch.envelope[0], batch.room)
        self._batch = batch
        applied = batch.applied or {}
        slots = applied if slot is None else (slot,)
        self._done = {slot: applied[slot] for slot in slots if not batch.is_open(slot)}

    def tell(self) -> None:
        applied = self._batch.applied
        if applied is None or self.outcome is not None:  # it is not known to be durable
            return
        for slot, call in self._done.items():
            if applied.get(slot) is call:  # not one that was done anew since, in another turn
                del applied[slot]
