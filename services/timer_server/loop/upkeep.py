"""Upkeep of a server beside its turns: beats, signs of life, reading keys again, cutting connections, listening."""

from collections.abc import Iterable, Sequence

from timer_protocol.durations import NS_PER_MS
from timer_protocol.errors import ErrorCode, Refusal
from timer_protocol.key_pairs import KeyFileError
from timer_protocol.limits import BEAT_INTERVAL_MS
from timer_protocol.messages import Beat, LogStanding
from timer_protocol.plurals import counted
from timer_protocol.service_manager import ServiceManager
from timer_server.logs import fields, log
from timer_server.loop.commit_care import Turn
from timer_server.loop.noting import Noting
from timer_server.loop.parts import Parts
from timer_server.loop.tell import Teller
from timer_server.wire.endpoint_socket import EndpointSocket
from timer_server.wire.intake import Intake
from timer_server.wire.listener import CannotListen, is_descriptor_left

_HELP = "allow more open files, by `ulimit -n` or LimitNOFILE"
_TOO_MUCH = "more comes in than can be handled"
_RECONNECT = Refusal(ErrorCode.SHUTTING_DOWN, "connections are made anew; send the request again")


class Upkeep:
    """A chore that sends the beat once a second, and looks at what may have gone wrong meanwhile."""

    def __init__(
        self, parts: Parts, teller: Teller, manager: ServiceManager | None = None, in_flight: Sequence[Turn] = ()
    ) -> None:
        """`in_flight` are the turns that have not settled, the oldest first."""
        self._clock, self._shards, self._places = parts.clock, parts.shards, parts.places
        self._servers, self._membership, self._dispatcher = parts.servers, parts.membership, parts.dispatcher
        self._commands, self._events, self._gate = parts.commands, parts.events, parts.admission.gate
        self._peers = parts.peers
        self._admin = None if parts.administered is None else parts.administered.port
        self._sockets: list[EndpointSocket] = [parts.commands, parts.events]
        if parts.peers is not None:
            self._sockets.append(parts.peers.port)
        self._garbage = parts.garbage
        self._teller = teller
        self._metrics = parts.metrics
        self._manager = manager or ServiceManager()
        self._alive_at_ns = 0
        self._noting = Noting(parts, in_flight)
        self.has_queues_to_note = False
        """Whether the metrics are to be told how queues and plans stand, once nothing is in flight."""
        self._beat_at_ns = 0
        self._told_of = parts.shards.owned
        """The shards of the last beat."""
        self._reason_to_cut = ""
        self._cut_again_at_ns = 0
        self._are_descriptors_left = True
        self.turned_away = 0
        """Connections for which there were too few descriptors, since the last beat."""
        self.intake = Intake(self._events_so_far())

    def next_due_ns(self) -> int:
        """When the next beat is due, or subscribers have to be cut off. A beat tells at once of shards that came."""
        if self._told_of is not self._shards.owned:
            return 0
        return min(self._beat_at_ns, self._cut_again_at_ns) if self._events.reason_to_reopen else self._beat_at_ns

    def step(self, now_ns: int, _budget: int = 0) -> None:
        """Sends the beat, if it is time; cuts subscribers off, if they have to be."""
        if self._events.reason_to_reopen:
            self._reopen(
                (self._events,), "all subscribers are cut off and may connect again", self._events.reason_to_reopen
            )
        if self._told_of is not self._shards.owned:
            self._told_of, self._beat_at_ns = self._shards.owned, 0
            self.intake.note(is_empty=True)  # their timers take memory, and are no requests that wait
        if now_ns < self._beat_at_ns:
            return
        self._beat_at_ns = now_ns + BEAT_INTERVAL_MS * NS_PER_MS
        anchor = self._clock.new_anchor()
        shards = self._shards.owned
        for shard in shards:
            shard.anchor = shard.anchor if anchor is None else shard.tied(anchor)
        if self._membership is not None and not self._membership.tells(now_ns):
            shards = ()  # they may be another server's
        # The beat tells what is durable, and so may be behind the engine.
        standings = ((shard.log, LogStanding(shard.log.durable_seq, shard.at(now_ns) // NS_PER_MS)) for shard in shards)
        self._be_alive(now_ns)
        self._events.beat(Beat({log.id: standing for log, standing in standings}, self._servers.version))
        if self._garbage is not None:
            self._garbage.beat()
        if self.intake.is_too_much(self._events_so_far()):
            self._reason_to_cut = _TOO_MUCH
        if self._gate is not None and (refused := self._gate.take_refused()):
            log.warning("connections refused: their keys are not allowed", extra=fields(count=refused))
        self._teller.note_drops(now_ns)
        self._noting.note(now_ns)
        self.has_queues_to_note = True
        self._make_room()
        self._tell_turned_away()
        self._listen_again()

    def _be_alive(self, now_ns: int) -> None:
        """Gives the service manager a sign of life, unless the next beat comes in time for it."""
        if self._manager.listens and now_ns + BEAT_INTERVAL_MS * NS_PER_MS > self._alive_at_ns:
            self._alive_at_ns = now_ns + self._manager.interval_ns
            self._manager.alive(f"{counted(self._places.pending, 'timer')} pending")

    def note_queues(self, now_ns: int) -> None:
        """Tells the metrics how queues and plans stand. Not while a turn is in flight."""
        self.has_queues_to_note = False
        self._noting.note_durable(now_ns)

    def reload(self) -> None:
        """Reads the keys again. Where one may do less now, all connections will be cut."""
        if self._gate is None:
            log.info("nothing to reload: encryption is off")
            return
        try:
            is_narrower = self._gate.reload()
        except KeyFileError as error:
            log.error("keys not read; the ones before stay in force", extra=fields(reason=str(error)))
            return
        self._places.share_out(self._gate.shares())
        if self._peers is not None:
            self._peers.keys_read()
        if is_narrower:
            self._reason_to_cut = "a key was taken away or narrowed"

    def dismiss_parked(self, refusal: Refusal) -> None:
        """Answers all requests that wait with an error."""
        self._dispatcher.fail_waiting(refusal)
        self._teller.send(self._shards.parked.take_ready())

    @property
    def has_to_cut(self) -> bool:
        """Whether connections have to be cut, as soon as no turn is in flight."""
        return bool(self._reason_to_cut) and self._clock.now_ns() >= self._cut_again_at_ns

    def cut_connections(self) -> None:
        """Cuts all connections, so that allowed peers connect anew; requests in queues are lost.

        Not while a turn is in flight: parked requests are answered here, and their answers may hold a part of it.
        Where descriptors are missing for it, it is tried again in a second.
        """
        self.dismiss_parked(_RECONNECT)
        # Other servers keep to their keys one by one.
        sockets = self._sockets if self._reason_to_cut == _TOO_MUCH else (self._commands, self._events)
        if self._reopen(sockets, "all connections are cut and may be made anew", self._reason_to_cut):
            self._reason_to_cut = ""

    def _reopen(self, sockets: Iterable[EndpointSocket], event: str, reason: str) -> bool:
        """Whether sockets could be replaced, which is tried once a second. Otherwise connections stay as they are."""
        now_ns = self._clock.now_ns()
        if now_ns < self._cut_again_at_ns:
            return False
        try:
            for socket in sockets:
                socket.reopen()
        except CannotListen as error:
            self._cut_again_at_ns = now_ns + BEAT_INTERVAL_MS * NS_PER_MS
            log.error("connections cannot be cut now; it is tried again", extra=fields(reason=str(error), help=_HELP))
            return False
        log.warning(event, extra=fields(reason=reason))
        return True

    def _make_room(self) -> None:
        """Where no descriptors are left, ends connections of the socket that has most new ones, or of all of them all.

        That is where fewer are allowed than there were, and where the last look found none either: those who are
        turned away hold the last ones for a moment. One socket is enough, since what it ends is free a moment later.
        """
        were_left, self._are_descriptors_left = self._are_descriptors_left, is_descriptor_left()
        if were_left or self._are_descriptors_left:
            return
        for one in sorted(self._sockets, key=lambda one: len(one.listener.newest()), reverse=True):
            try:
                if ended := one.listener.make_room():
                    self.turned_away += ended
                    return
            except CannotListen as error:
                log.error("connections cut: too few descriptors", extra=fields(reason=str(error), help=_HELP))

    def _tell_turned_away(self) -> None:
        if self.turned_away:
            log.error("connections turned away: too few descriptors", extra=fields(count=self.turned_away, help=_HELP))
            self.turned_away = 0

    def _listen_again(self) -> None:
        """Listens where a socket has been replaced, or a connection had to wait, for lack of descriptors."""
        if self._admin is not None:
            self._admin.resume()
        for one in self._sockets:
            try:
                one.listener.resume()
            except CannotListen as error:
                log.error("cannot listen now; it is tried again", extra=fields(reason=str(error), help=_HELP))

    def _events_so_far(self) -> int:
        return sum(self._metrics.events)
