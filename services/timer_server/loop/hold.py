"""What is done while no turn may begin, since too many are in flight: what cannot wait for that, and no more."""

from collections.abc import Mapping

from timer_protocol.durations import NS_PER_MS
from timer_server.loop.commit_care import CommitCare
from timer_server.loop.parts import Parts
from timer_server.loop.peering import Peering
from timer_server.loop.refusing import Refuser
from timer_server.loop.tell import Teller
from timer_server.loop.upkeep import Upkeep
from timer_server.requests.answers import STORE_AWAY

_LOOK_NS = 20 * NS_PER_MS
"""How often connections with other servers are looked at: no socket of theirs wakes the loop up meanwhile."""


class Hold:
    """Keeps commits, beats and connections with other servers going.

    Requests are left where they are. Once all turns in flight take too long, those of clients and of other servers are
    refused at once: nothing that they ask for could be made durable in time.
    """

    def __init__(
        self,
        parts: Parts,
        upkeep: Upkeep,
        commit_care: CommitCare,
        peering: Peering | None,
        refuser: Refuser,
        teller: Teller,
    ) -> None:
        self._clock, self._commands, self._parked = parts.clock, parts.commands, parts.shards.parked
        self._membership, self._peer_traffic = parts.membership, parts.peer_traffic
        self._upkeep, self._commit_care, self._peering = upkeep, commit_care, peering
        self._refuser, self._teller = refuser, teller
        self._look_ns = 0

    def next_due_ns(self) -> int:
        """When there is something to do though no socket wakes the loop up."""
        moments = [self._upkeep.next_due_ns(), self._commit_care.next_due_ns()]
        if self._membership is not None:
            moments.append(self._membership.next_due_ns())
        if self._peering is not None:
            moments.append(self._look_ns)
        return min(due_ns for due_ns in moments if due_ns is not None)

    def step(self) -> None:
        """Does what cannot wait, but for what is refused."""
        now_ns = self._clock.now_ns()
        self._upkeep.step(now_ns)
        self._commit_care.step(now_ns)
        if self._peering is not None and now_ns >= self._look_ns:
            self._look_ns = now_ns + _LOOK_NS
            self._peering.keep_up(now_ns)
        if self._peer_traffic is not None:
            self._peer_traffic.step(now_ns, may_apply=False)

    def refuse(self, ready: Mapping[object, int], until_ns: int, budget: int) -> None:
        """Refuses what has come in, until a moment, and whoever has waited for long enough."""
        if self._commands.socket in ready:
            self._refuser.refuse_requests(STORE_AWAY, until_ns)
        if self._peer_traffic is not None:
            self._teller.send(self._peer_traffic.take_answers())
        self._parked.expire(self._clock.now_ns(), budget)
        self._teller.fail(self._parked.take_ready(), STORE_AWAY)
