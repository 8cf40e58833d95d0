"""What a loss of power does to files: of the writes since the last sync, any may be there and any may be missing."""

from pathlib import Path
from random import Random

from campaigns.faulty_vfs import Operation


class Unsynced:
    """Notes what each file held when it was last synced, and what was done to it since."""

    def __init__(self, seed: int) -> None:
        self._dice = Random(seed)  # noqa: S311 - losses, not secrets
        self._safe: dict[Path, bytes] = {}
        self._since: dict[Path, list[Operation]] = {}
        self._marks: dict[Path, list[bytes]] = {}

    def before(self, operation: Operation) -> None:
        """Takes note of an operation that is about to be done. A mark's content is what it was before."""
        if operation.kind == "mark":
            self._marks.setdefault(operation.file, []).append(operation.content)
            return
        if operation.file not in self._safe:
            self._safe[operation.file] = operation.file.read_bytes()
        if operation.kind != "sync":
            self._since.setdefault(operation.file, []).append(operation)

    def synced(self, file: Path) -> None:
        """A file is safe as it is now."""
        self._safe[file] = file.read_bytes()
        self._since.pop(file, None)

    def lose(self) -> None:
        """Leaves of each file what a loss of power at this moment may leave. Of the last writes each has even odds."""
        for file, operations in self._since.items():
            content = bytearray(self._safe[file])
            for operation in operations:
                if self._dice.random() < 0.5:
                    _redo(content, operation)
            file.write_bytes(content)
        for file, contents in self._marks.items():
            file.write_bytes(self._dice.choice(contents))


def _redo(content: bytearray, operation: Operation) -> None:
    if operation.kind == "truncate":
        del content[operation.offset :]
        return
    missing = operation.offset + len(operation.content) - len(content)
    if missing > 0:
        content.extend(bytes(missing))
    content[operation.offset : operation.offset + len(operation.content)] = operation.content
