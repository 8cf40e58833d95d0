"""The timer server: a pure core, a durable store, and the one loop that joins them to the world."""
