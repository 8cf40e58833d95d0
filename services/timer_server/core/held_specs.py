"""Large specs that more than one timer refers to, or an end that is held where its timer may be forgotten."""

from hashlib import blake2b

_DIGEST_BYTES = 16


class HeldSpecs:
    """Counts what refers to each of these specs: the held ends, and each timer as long as it is known.

    A spec of a single timer to which no held end refers is not counted: it goes with its timer. The timers of a plan
    share specs, which stand in entries of their own.
    """

    def __init__(self) -> None:
        self._spec_of: dict[int, int] = {}
        """The place of the spec, by the place of the end."""
        self._references: dict[int, int] = {}
        self._digest_of: dict[int, bytes] = {}
        """What is in each shared spec, by its place."""
        self._shared: dict[bytes, int] = {}
        """The place of each shared spec, by what is in it."""
        self._forgotten: set[int] = set()
        """While a log is restored: specs whose last entry so far is a held end. After it those of forgotten timers."""

    def restore(self, spec_place: int, held_place: int | None = None) -> None:
        """Takes the next entry of a log that refers to a spec; `held_place` is that of a held end."""
        if held_place is None:
            self._forgotten.discard(spec_place)
        else:
            self.hold(held_place, spec_place)
            if spec_place not in self._digest_of:
                self._forgotten.add(spec_place)

    def restored(self) -> None:
        """Notes that the log has been read to its end."""
        for spec_place in self._forgotten:
            self.forget_timer(spec_place)
        self._forgotten.clear()

    def find_shared(self, spec: bytes) -> int | None:
        """The place of a shared spec."""
        return self._shared.get(_digest(spec))

    def share(self, spec_place: int, spec: bytes) -> None:
        """Counts a spec which timers are to share."""
        self._references[spec_place] = 0
        digest = self._digest_of[spec_place] = _digest(spec)
        self._shared[digest] = spec_place

    def begin_timer(self, spec_place: int) -> None:
        """Notes that a timer refers to a spec, if that is shared. The timer is known."""
        if spec_place in self._digest_of:
            self._references[spec_place] += 1

    def is_shared(self, spec_place: int) -> bool:
        """Whether something refers to a shared spec."""
        return self._references.get(spec_place, 0) > 0

    def hold(self, place: int, spec_place: int) -> None:
        """Counts an end that is held, and with the first of a spec its timer."""
        self._spec_of[place] = spec_place
        self._references[spec_place] = self._references.get(spec_place, 1) + 1

    def forget_timer(self, spec_place: int) -> bool:
        """Notes that the timer of a spec is forgotten; whether nothing refers to the spec any more."""
        return self._leave(spec_place)

    def let_go(self, place: int) -> int | None:
        """Notes that an end is held no more; its spec, if nothing refers to that any more."""
        spec_place = self._spec_of.pop(place, None)
        return spec_place if spec_place is not None and self._leave(spec_place) else None

    def _leave(self, spec_place: int) -> bool:
        """One reference less; whether it was the last."""
        left = self._references.get(spec_place, 1) - 1
        if left:
            self._references[spec_place] = left
        else:
            self._references.pop(spec_place, None)
            digest = self._digest_of.pop(spec_place, None)
            if digest is not None:
                self._shared.pop(digest, None)
        return not left


def _digest(spec: bytes) -> bytes:
    return blake2b(spec, digest_size=_DIGEST_BYTES).digest()
