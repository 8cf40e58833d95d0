"""A sender of webhooks in a process of its own, that a test can kill and start again."""

from pathlib import Path

from drivers.server_process import ServerProcess

START_LIMIT_S = 120.0
"""How long it may take to begin, on a machine with much else to do."""


class SenderProcess(ServerProcess):
    """`python -m` a module that sends, with the `webhooks.toml` in its folder. It has begun once it takes ends."""

    def __init__(self, folder: Path, server: str, module: str = "timer_webhooks", **environment: str) -> None:
        super().__init__(folder, {"TIMER_SERVER": server, "TIMER_RETRY_MAX_S": "0.2", **environment}, module)

    def start(self) -> "SenderProcess":
        """Starts it and waits until it takes from a queue. Raises `ServerEnded`."""
        self.launch()
        try:
            self.wait_for_log("working", START_LIMIT_S)
        except BaseException:
            self.kill()
            raise
        return self

    def __enter__(self) -> "SenderProcess":
        return self.start()
