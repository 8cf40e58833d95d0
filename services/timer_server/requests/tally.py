"""How many requests were answered, by method and error. To count one costs a look-up."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from timer_protocol.codec import Failure, Malformed, MethodCall, Result
from timer_protocol.errors import ErrorCode
from timer_protocol.methods import METHODS

OTHER = "other"
"""The method of a request whose method is not known, and an error that this server does not know."""

Kind = type[MethodCall] | type[Malformed]
"""What a request was decoded as: the type of the calls of a method, or `Malformed` where its method is not known."""


class Tally:
    """Answered requests, by what they were decoded as and the number of their error."""

    def __init__(self) -> None:
        self._succeeded: defaultdict[Kind, int] = defaultdict(int)
        self._failed: Counter[tuple[Kind, int]] = Counter()

    def count(self, kinds: Sequence[Kind]) -> None:
        """Counts the requests of a message, all of which have succeeded."""
        if kinds.count(kinds[0]) == len(kinds):  # as most messages are, and a fifth of the time
            self._succeeded[kinds[0]] += len(kinds)
            return
        for kind in kinds:
            self._succeeded[kind] += 1

    def count_each(self, kinds: Sequence[Kind], replies: Sequence[Result | Failure]) -> None:
        """Counts the requests of a message by their replies."""
        for kind, reply in zip(kinds, replies, strict=True):
            if isinstance(reply, Failure):
                self._failed[kind, reply.error.code] += 1
            else:
                self._succeeded[kind] += 1

    def by_method_and_error(self) -> Iterable[tuple[str, str, int]]:
        """How many there were of each method with each error, which is empty where there was none.

        Any thread may ask.
        """
        told = Counter({(method.name, ""): 0 for method in METHODS})
        for kind, count in list(self._succeeded.items()):
            told[_method(kind), ""] += count
        for (kind, code), count in list(self._failed.items()):
            told[_method(kind), _error(code)] += count
        return [(method, error, count) for (method, error), count in told.items()]


def _method(kind: Kind) -> str:
    tag = kind.__struct_config__.tag
    return tag if isinstance(tag, str) else OTHER


def _error(code: int) -> str:
    try:
        return ErrorCode(code).wire_name
    except ValueError:  # of another server of the store, which is newer
        return OTHER
