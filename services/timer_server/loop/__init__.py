"""The turn of the loop: the only clock and the only poll."""
