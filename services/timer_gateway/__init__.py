"""The HTTP gateway: the protocol as JSON-RPC over HTTP, paths for curl, and events as a stream."""
