"""Log lines: one line each, whatever a peer has sent."""

import json
import logging
from pathlib import Path

import pytest

from timer_protocol.log_writer import set_up
from timer_server.logs import fields, log

NASTY = "x\n2026-01-01T00:00:00.000Z info forged\x1b[31m\r\0"


@pytest.fixture
def untouched_log(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log, "handlers", [])
    monkeypatch.setattr(log, "level", logging.INFO)
    monkeypatch.setattr(log, "propagate", False)


@pytest.mark.usefixtures("untouched_log")
@pytest.mark.parametrize("form", ["text", "json"])
def test_what_a_peer_has_sent_stays_in_its_line(form: str, tmp_path: Path) -> None:
    with (tmp_path / "log").open("wb") as file:
        writer = set_up(log, "info", form, file.fileno())

        log.info("refused", extra=fields(reason=NASTY, count=3))
        writer.flush()

    line = (tmp_path / "log").read_text()
    assert line.count("\n") == 1
    assert line.rstrip("\n").isprintable()
    if form == "json":
        assert json.loads(line)["reason"] == NASTY
    else:
        assert line.endswith(f" info refused reason={NASTY.encode('unicode_escape').decode()} count=3\n")


@pytest.mark.usefixtures("untouched_log")
@pytest.mark.parametrize("form", ["text", "json"])
def test_a_path_that_is_no_text_is_shown_escaped(form: str, tmp_path: Path) -> None:
    with (tmp_path / "log").open("wb") as file:
        writer = set_up(log, "info", form, file.fileno())

        log.info("listening", extra=fields(store="a\udcffb"))
        writer.flush()

    line = (tmp_path / "log").read_text()
    shown = json.loads(line)["store"] if form == "json" else line.rstrip("\n").partition("store=")[2]
    assert shown == "a\\udcffb"
