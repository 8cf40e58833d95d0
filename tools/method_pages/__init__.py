"""The pages about methods, docs/methods, and docs/openrpc.json: made from the service's own description."""
