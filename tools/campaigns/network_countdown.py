"""The command that most people run, `timer watch`, while the network fails: it has to hear of the end by itself."""

import re
import time

from drivers.program import Program

LATE_LIMIT_S = 60.0
MAY_BE_EARLY_S = 0.01
"""Between the server's clock and this machine's."""


class Countdown:
    """A program that watches one timer with `--json`."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self._due_at_s = int(program.expect(r'"due_at_ms":(\d+)')[1]) / 1000

    @property
    def left_s(self) -> float:
        """Time until its end."""
        return self._due_at_s - time.time()

    def violations(self) -> list[str]:
        """Waits for its end; what was wrong with it."""
        try:
            fired = self._program.expect('"state":"fired".*', LATE_LIMIT_S + self.left_s)[0]
            code = self._program.wait()
        except AssertionError as error:
            return [f"timer watch: {error}"]
        early_s = self._due_at_s - int(re.findall(r'"ended_at_ms":(\d+)', fired)[0]) / 1000
        wrong = [f"timer watch ended with {code}"] if code != 0 else []
        return wrong + ([f"timer watch fired {early_s:.3f} s early"] if early_s > MAY_BE_EARLY_S else [])
