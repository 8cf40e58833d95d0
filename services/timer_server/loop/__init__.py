"""The loop and its turns: the only clock and the only poll."""
