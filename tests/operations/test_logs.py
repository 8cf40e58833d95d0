"""Log lines: one line each, whatever a peer has sent."""

import io
import json
import logging

import pytest

from timer_server.logs import fields, log, set_up

NASTY = "x\n2026-01-01T00:00:00.000Z info forged\x1b[31m\r\0"


@pytest.fixture
def written() -> io.StringIO:
    return io.StringIO()


@pytest.mark.parametrize("form", ["text", "json"])
def test_what_a_peer_has_sent_stays_in_its_line(
    form: str, written: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log, "handlers", [])
    monkeypatch.setattr(log, "level", logging.INFO)
    monkeypatch.setattr(log, "propagate", False)
    set_up("info", form)
    handler = log.handlers[0]
    assert isinstance(handler, logging.StreamHandler)
    handler.setStream(written)

    log.info("refused", extra=fields(reason=NASTY, count=3))

    line = written.getvalue()
    assert line.count("\n") == 1
    assert line.rstrip("\n").isprintable()
    if form == "json":
        assert json.loads(line)["reason"] == NASTY
    else:
        assert line.endswith(f" info refused reason={NASTY.encode('unicode_escape').decode()} count=3\n")
