"""Numbers with their nouns, for sentences: `1 timer`, `2 timers`."""


def counted(number: float, one: str, many: str = "") -> str:
    """The number and its noun, in the plural unless it is one; `many` is the plural where that is not `one` + s.

    A verb may come along: `counted(count, "timer is", "timers are")`.
    """
    return f"{number:.12g} {one if abs(number) == 1 else many or one + 's'}"
