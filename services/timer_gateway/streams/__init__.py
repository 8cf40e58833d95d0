"""Events of timers as streams of server-sent events."""
