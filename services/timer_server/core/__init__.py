"""Timers and their rules: no socket, no clock, no environment."""
