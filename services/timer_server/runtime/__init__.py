"""Everything that touches the world: sockets, clocks, settings, logs and metrics. It decides nothing."""
