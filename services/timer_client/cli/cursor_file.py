"""The file in which `timer events` keeps its position, so that the next run goes on where this one ended."""

import os
from pathlib import Path

from timer_client.cli.connection import Misuse
from timer_client.cursor import Cursor


class CursorFile:
    """A file that holds a cursor's text. Whoever opens it sees the old text or the new one, also after a power cut."""

    def __init__(self, path: Path) -> None:
        try:
            self._path = path.resolve()  # a link stays a link
        except (OSError, RuntimeError) as error:  # the working directory is gone, or links go in a circle
            raise Misuse(f"the cursor file {path} cannot be found: {getattr(error, 'strerror', error)}") from None
        self._new_path = self._path.with_name(f"{self._path.name}.new")
        self._saved: Cursor | None = None

    def read(self) -> Cursor | None:
        """The cursor; None where there is no file yet. Ends the command where the file holds something else."""
        try:
            return Cursor.parse(self._path.read_text("utf-8").strip())
        except FileNotFoundError:
            return None
        except OSError as error:
            raise Misuse(f"the cursor file {self._path} cannot be read: {error.strerror}") from None
        except UnicodeDecodeError:
            raise Misuse(f"the file {self._path} holds no cursor: it is no text at all") from None
        except ValueError as error:
            raise Misuse(f"in the file {self._path}, {error}") from None

    def save(self, cursor: Cursor | None) -> None:
        """Replaces the text in the file, unless there is no cursor. Ends the command where that fails."""
        if cursor is None or cursor == self._saved:
            return
        try:
            with self._new_path.open("w", encoding="utf-8") as file:
                file.write(f"{cursor}\n")
                file.flush()
                os.fsync(file.fileno())
            self._new_path.replace(self._path)
        except OSError as error:
            raise Misuse(f"the cursor file {self._path} cannot be written: {error.strerror}") from None
        self._saved = cursor
