"""Which server of a store owns which shards: who is alive, what may be taken, given and served, and what time it is
there. It decides by what was read and when: no socket, no clock, no file, no environment."""
