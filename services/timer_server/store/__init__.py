"""Where the log is kept. A store knows how, never what or when."""

from timer_server.store.base import Anchor, Notice, Store, StoreError, Window
from timer_server.store.memory import MemoryStore
from timer_server.store.sqlite import SqliteStore

__all__ = ["Anchor", "MemoryStore", "Notice", "SqliteStore", "Store", "StoreError", "Window"]
