"""The document's exchanges name a log, so the servers of these tests have one of that name."""

import pytest

from drivers.builders import LOG_ID
from timer_server import stores as stores_module


@pytest.fixture(autouse=True)
def log_of_the_document(monkeypatch: pytest.MonkeyPatch) -> None:
    """Servers in this process begin their logs under the document's id."""
    monkeypatch.setattr(stores_module, "new_log_id", lambda: LOG_ID)
