"""The log of the webhooks. Payloads, secrets and URLs are never logged."""

import logging

from timer_protocol.log_lines import fields

__all__ = ["fields", "log"]

log = logging.getLogger("timer_webhooks")
