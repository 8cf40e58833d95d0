"""When entries may be written in a new format: once every living server can read it."""

from collections.abc import Iterable

from timer_server.store.membership import ServerRow


def upgrade_fault(servers: Iterable[ServerRow], written: int, wanted: int) -> str | None:
    """Why entries that are written in one format may not be written in another from now on; None where they may."""
    if wanted < written:
        return f"entries are written in format {written} already, which format {wanted} does not go beyond"
    behind = sorted(row.name for row in servers if not row.is_dead and wanted not in row.formats)
    if behind:
        return f"these servers cannot read format {wanted}: {', '.join(behind)}; bring them to this release first"
    return None
