"""Which server of a store owns which shards: who is alive, what may be taken, given and served, and what time it is in a
shard. It decides by what was read and when, and has no socket, clock, file or environment itself."""
