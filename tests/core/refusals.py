"""What the core refuses, as a value."""

from collections.abc import Callable

import pytest

from timer_protocol.errors import ErrorCode, Refusal


def refusal(ask: Callable[[], object]) -> Refusal:
    with pytest.raises(Refusal) as refused:
        ask()
    return refused.value


def code(ask: Callable[[], object]) -> ErrorCode:
    return refusal(ask).code
