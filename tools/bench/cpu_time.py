"""The processor time of another process, in nanoseconds, as its scheduler counts it."""

from pathlib import Path


def process_ns(pid: int) -> int:
    """Of all its threads."""
    return sum(_thread_ns(task) for task in Path(f"/proc/{pid}/task").iterdir())


def main_thread_ns(pid: int) -> int:
    """Of the thread that the process began with, whose id is the process's own."""
    return _thread_ns(Path(f"/proc/{pid}/task/{pid}"))


def _thread_ns(task: Path) -> int:
    return int((task / "schedstat").read_text().split()[0])
