"""The parts around the loop that need no socket."""
