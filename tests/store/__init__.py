"""Every store, and what only SQLite has."""
