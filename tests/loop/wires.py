"""Sockets on which nothing happens that a test has not brought about."""

from collections.abc import Iterable, Mapping
from typing import cast

import zmq

from timer_protocol.plan_messages import Skipped
from timer_server.access.admission import Admission
from timer_server.wire.connections import Connection


class QuietWire:
    """Stands in for both sockets, their listeners and the admission to them."""

    socket = "commands"
    gate = None
    is_behind = False
    reason_to_reopen = ""

    @property
    def listener(self) -> "QuietWire":
        return self

    @property
    def admission(self) -> Admission:
        return cast("Admission", self)

    def register(self, _: zmq.Poller) -> None: ...

    is_anything_wanted = True

    def publish_skipped(self, _: Iterable[Skipped]) -> None: ...
    def take_subscriptions(self) -> None: ...
    def reopen(self) -> None: ...
    def resume(self) -> None: ...
    def admit(self, **_: bool) -> None: ...

    def is_asked(self, _: Mapping[object, int]) -> bool:
        return False

    def turn_away(self, _: Mapping[object, int]) -> int:
        return 0

    def newest(self) -> list[Connection]:
        return []

    def make_room(self) -> int:
        return 0
