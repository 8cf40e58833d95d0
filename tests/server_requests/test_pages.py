"""Pages over several shards: merged from parts, each of which may end before the page does."""

from itertools import takewhile

from hypothesis import given
from hypothesis import strategies as st

from timer_server.requests.pages import PagePart, merged

keys = st.sets(st.integers(0, 60), max_size=30)


def part_of(own: list[int], after: int, limit: int, scan: int) -> PagePart[int, str]:
    """What a server finds of a page among its next `scan` keys."""
    following = [key for key in own if key > after]
    found = following[: min(limit, scan)]
    has_more = len(found) < len(following)
    return PagePart(found, [str(key) for key in found], found[-1] if has_more else None)


@given(keys, st.integers(1, 4), st.integers(1, 7), st.integers(1, 7))
def test_whatever_the_parts_are_all_is_found_once_and_in_order(
    all_keys: set[int], servers: int, limit: int, scan: int
) -> None:
    lines = [sorted(key for key in all_keys if key * 7 % servers == server) for server in range(servers)]
    seen: list[int] = []
    after = -1
    while True:
        page = merged([part_of(line, after, limit, scan) for line in lines], limit)
        assert len(page.keys) <= limit
        assert page.items == [str(key) for key in page.keys]
        seen += page.keys
        if page.next is None:
            break
        assert page.next > after, "there would be no end"
        after = page.next

    assert seen == sorted(all_keys)


def test_it_ends_with_the_first_part_that_does_not_go_on_to_the_end() -> None:
    parts = [PagePart(["a", "d"], [1, 4], "d"), PagePart(["b", "e"], [2, 5], None), PagePart([], [], "c")]

    page = merged(parts, 10)

    assert (page.keys, page.items, page.next) == (["a", "b"], [1, 2], "c")
    assert list(takewhile(lambda key: key <= "c", page.keys)) == page.keys
