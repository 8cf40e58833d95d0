"""From a message to its answer: no socket, no clock, no file, no environment."""
