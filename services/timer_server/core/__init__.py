"""What a timer is and does: no socket, no clock, no environment."""
