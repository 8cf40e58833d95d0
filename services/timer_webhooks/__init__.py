"""Webhooks: sends the ends of timers to HTTP endpoints, signed as Standard Webhooks 1.0 says."""
