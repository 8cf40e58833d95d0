"""The gateway's log. Payloads, tokens and cookies are never logged."""

import logging
from typing import Final

log: Final = logging.getLogger("timer_gateway")
