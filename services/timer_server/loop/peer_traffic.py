"""What goes between this server and the others: their requests and replies, and what their requests came to."""

from collections.abc import Callable, Iterable, Iterator, Sequence

from msgspec import DecodeError

from timer_protocol.errors import Refusal
from timer_server.logs import fields, log
from timer_server.loop.timeline_news import TimelineNews
from timer_server.requests.answers import PeerAnswer
from timer_server.requests.aside import Aside
from timer_server.requests.between_servers import (
    PeerReply,
    PeerResult,
    PeerTimeline,
    packed,
    unpacked_replies,
    unpacked_requests,
)
from timer_server.requests.forwarding import ForwardingDispatcher
from timer_server.requests.forwards import MESSAGE_BYTES, Forwards
from timer_server.requests.peer_dispatch import PeerDispatcher
from timer_server.wire.peers import Incoming


class PeerTraffic:
    """Takes what comes of other servers, and sends them what their requests came to."""

    def __init__(  # noqa: PLR0913 - its parts, each given once
        self,
        *,
        reply: Callable[[str, bytes], object],
        now_ns: Callable[[], int],
        forwards: Forwards,
        dispatcher: PeerDispatcher,
        aside: Aside,
        own_dispatcher: ForwardingDispatcher,
        news: TimelineNews,
    ) -> None:
        """`reply` sends replies to a server, by its incarnation.

        `own_dispatcher` runs the dialogues that are begun `aside`.
        """
        self.forwards = forwards
        self._aside = aside
        self._news = news
        self._own_dispatcher = own_dispatcher
        self._reply = reply
        self._now_ns = now_ns
        self._dispatcher = dispatcher
        self._answers: list[PeerAnswer] = []

    def deliver(self, incoming: Incoming, refusal: Refusal | None = None) -> None:
        """Takes something that has come of another server: applies requests, or refuses them, and passes replies on."""
        try:
            self._take(incoming, refusal)
        except DecodeError as error:
            what = fields(server=incoming.incarnation, reason=str(error))
            log.error("a message of another server cannot be read", extra=what)

    def take_answers(self) -> list[PeerAnswer]:
        """What other servers are to be told of what was delivered since the last call, once it is durable."""
        answers, self._answers = self._answers, []
        return answers

    def next_due_ns(self) -> int | None:
        """When there is something to do for requests that were sent on, or are to be: 0 is now."""
        return self.forwards.next_due_ns()

    def step(self, now_ns: int, _budget: int = 0, *, may_apply: bool = True) -> None:
        """Begins the dialogues that no client waits for, and sends on what the turn has come to so far.

        While no turn may begin, nothing is applied here.
        """
        self._news.step()
        for dialogue in self._aside.take():
            try:
                self._own_dispatcher.begin_aside(dialogue, now_ns)
            except Refusal as refusal:
                log.debug("a dialogue with other servers is put off", extra=fields(reason=refusal.reason))
                dialogue.close()
        self.forwards.step(now_ns, may_apply=may_apply)

    def reply(self, answers: Iterable[PeerAnswer]) -> None:
        """Sends what requests of other servers came to, in one message to each if that is not too large."""
        by_server: dict[str, list[PeerReply]] = {}
        for answer in answers:
            by_server.setdefault(answer.peer, []).append(answer.reply)
        for incarnation, replies in by_server.items():
            for part in _parts(replies):
                self._reply(incarnation, packed(part))  # where it is lost, the connection has ended: both know that

    def _take(self, incoming: Incoming, refusal: Refusal | None) -> None:
        server = incoming.incarnation
        match incoming.kind:
            case "request":
                message = unpacked_requests(incoming.body)
                self._answers += self._dispatcher.handle(server, message, self._now_ns(), refusal)
            case "reply":
                replies = unpacked_replies(incoming.body)
                if isinstance(replies, PeerTimeline):
                    self._news.hear(replies.timeline)
                else:
                    self.forwards.replied(server, replies)
            case "connected":
                self.forwards.connected(server)
            case "broken":
                self.forwards.broken(server)
            case "joined":
                self._news.joined(server)
            case "left":
                self._news.left(server)
                self._dispatcher.left(server)


def _parts(replies: Sequence[PeerReply]) -> Iterator[Sequence[PeerReply]]:
    """The replies in messages that are not too large."""
    begun = size = 0
    for at, reply in enumerate(replies):
        size += len(reply.result) if isinstance(reply, PeerResult) else 0
        if size > MESSAGE_BYTES:
            yield replies[begun : at + 1]
            begun, size = at + 1, 0
    if begun < len(replies):
        yield replies[begun:]
