"""Dialogues that no client waits for. Whoever runs dialogues takes them with each turn."""

from timer_server.requests.gathering import Dialogue


class Aside:
    """The dialogues that have been begun and not been taken yet."""

    def __init__(self) -> None:
        self._begun: list[Dialogue] = []

    def begin(self, dialogue: Dialogue) -> None:
        """Has a dialogue run. It is closed where it does not come to its end in time."""
        self._begun.append(dialogue)

    def take(self) -> list[Dialogue]:
        """The dialogues that have been begun since the last call."""
        begun, self._begun = self._begun, []
        return begun
