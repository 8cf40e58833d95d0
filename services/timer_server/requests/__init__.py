"""From messages to answers: no socket, no clock, no file, no environment."""
