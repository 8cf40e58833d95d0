"""How much memory a process uses."""

from pathlib import Path

KIB = 1024
MIB = 1024 * KIB


def resident_bytes(pid: int) -> int:
    """The resident set of a process."""
    status = Path(f"/proc/{pid}/status").read_text()
    return KIB * int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1])
