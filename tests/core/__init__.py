"""The engine and its parts, without any I/O."""
