"""Queues: who handles an end. Pure, as all of the core."""
