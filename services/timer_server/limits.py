"""Bounds on what peers can make the server hold or do, each with its reason. PROTOCOL.md lists all of them."""

KEYS_REMEMBERED = 64
"""Keys of changes kept for each timer: more than any client has in flight at once."""

PAGE_BYTES = 4 * 1024 * 1024
"""A page of timers or events ends early once its payloads reach this, so that one request cannot fill memory."""

PARKED_PAGE_BYTES = 65_536
"""The same for a page that was waited for: many requests may wake at once, and each has little to read."""

SCAN_MAXIMUM = 10_000
"""Entries looked at for one page. A page that ends early tells where to go on."""

SCAN_BYTES = 16 * 1024 * 1024
"""Bytes of the log read and checked for one page of events."""

REPLY_ENTRIES = 20_000
"""Entries looked at for all pages of one reply, where a returned one counts as ten: some ten milliseconds of the
server's time."""

REPLY_BYTES = 16 * 1024 * 1024
"""Bytes of payloads in one reply: the requests of a batch beyond it are refused."""

FRAMES_MAXIMUM = 16
"""Frames of one message from a peer; the longest form in use has five."""

ENVELOPE_BYTES = 1024
"""Bytes that a peer may put before its body. They come back with the reply, and are kept while it waits."""

PARKED_MAXIMUM = 20_000
"""Requests that may wait at once: two for each of the ten thousand clients a server should carry."""

INTAKE_BYTES = 512 * 1024 * 1024
"""Bytes of requests that have come in and wait to be handled, by the growth of the server's memory: half a minute of
the fastest honest load. Beyond it all connections are cut, and clients send again what they still want."""

PARKED_BYTES = 64 * 1024 * 1024
"""Bytes of envelopes and results kept for batches with waiting requests. A single request keeps no more than its
envelope and its `id`, and is bounded by the number of those that wait."""

FORWARDED_MAXIMUM = 100_000
"""Requests for shards of other servers that wait at once: four seconds of the fastest honest load, until another server
has taken the shards of one that died."""

FORWARDED_BYTES = 256 * 1024 * 1024
"""Bytes of the params of such requests, and of the results that are kept until the rest of their batch is answered."""

CONNECTION_PERCENT = 50
"""The share of one connection in what waits: thousands of tasks of one client fit, and as much is left for others."""

KEY_PERCENT = 75
"""The share of all connections of one key together: more than one of them can take, and never all."""

PARKED_LEAST_MS = 1000
"""How long a request waits at least before another may take its place: nobody can ask again faster than that for each
place, so giving way costs little; and whoever fills all places has to fill them anew every second."""

GIVING_WAY_MOST = 500
"""Waiting requests that give way to one message: as many as are answered in one turn when their time is up."""

TRIPLE_EXPIRES_S = 60
"""A half-finished triple of the dialogue is dropped after this: its peer has gone."""

TRIPLES_MAXIMUM = 10_000
"""Half-finished triples kept at once; beyond it the oldest is dropped."""

DIALOGUE_LINES_A_SECOND = 100
"""Texts of the dialogue that are logged: more than people type, too few to fill a disk."""

REPLIES_QUEUED = 10_000
"""Replies held for one peer that does not read; more are dropped and counted."""

PEER_BACKLOG_BYTES = 32 * 1024 * 1024
"""Bytes of replies held for one peer that does not read: the largest reply twice. More are dropped and counted."""

BACKLOG_BYTES = 256 * 1024 * 1024
"""The same for all peers together, a quarter of a small server's memory. Past it only peers that read get replies,
and only small ones."""

EVENTS_QUEUED = 100_000
"""Events held for one subscriber that does not read; past it, it has to catch up by `events.read`."""

EVENTS_BYTES = 256 * 1024 * 1024
"""Bytes of events held for the subscriber that is furthest behind: four hundred thousand common ones. Beyond it all
subscribers are cut off; they connect again."""

SUBSCRIPTION_BYTES = 600
"""Bytes of a frame to the events socket; a larger one cuts its peer off. A topic has 138 at most, a handshake 544."""

SUBSCRIBER_BYTES = 256 * 1024
"""Bytes of the topics of one subscriber, each with 40 more: two thousand of ninety bytes. Each byte costs some fifty in
the socket. Beyond it the subscriber is cut off."""

SUBSCRIBER_BURST = 10_000
"""Subscriptions, and ones taken back, of one subscriber that wait at the socket without a pause: more than its topics
can be. Beyond it the subscriber is cut off."""

SUBSCRIBED_BYTES = 4 * 1024 * 1024
"""Bytes of all subscribed topics, each counted once and with 40 more: four of sixty bytes for each of ten thousand
subscribers. Beyond it the subscriber with the most is cut off."""

PEER_BYTES = 32 * 1024 * 1024
"""A message between servers: the largest reply twice, or more where clients may send more. A larger one is not sent."""

PEER_QUEUED_BYTES = 64 * 1024 * 1024
"""Bytes of forwarded requests held for a server that does not read. Past it ZeroMQ is handed no more, and they wait."""

PEERS_UNGREETED = 64
"""Connections of other servers that have not said who they are: beyond it the oldest is ended. In seconds all are."""

SHARDS, SHARDS_MOST = 16, 1_024
"""Shards of a store in PostgreSQL, unless its maker says another number, and the most. A beat tells of all of them."""

LEASE_MS, LEASE_LEAST_MS, LEASE_MOST_MS = 2_000, 1_000, 60_000
"""How long the servers of such a store may be silent before others take their shards: two beats at least."""


def peer_maximum_bytes(max_message_bytes: int) -> int:
    """The largest message between servers: whatever is taken from a client can be passed on."""
    return max(PEER_BYTES, frame_maximum_bytes(max_message_bytes))


def frame_maximum_bytes(max_message_bytes: int) -> int:
    """The largest frame; a larger one cuts its peer off without a reply. A message a little too large is refused."""
    return 4 * max_message_bytes + 65_536
