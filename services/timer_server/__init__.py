"""The timer server: a pure core, a durable store, and one loop that joins them to sockets and clocks."""
