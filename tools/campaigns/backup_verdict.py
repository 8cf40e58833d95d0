"""Judges backups: by what a watcher has heard of all events, and by what clients were told, and when.

The log itself is no witness, as retention has removed most of it by the end.
"""

from collections.abc import Iterable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import NamedTuple

from msgspec import convert

from campaigns.asker import Asker
from campaigns.facts import Facts
from campaigns.trial import all_timers
from drivers.builders import entries_in
from drivers.server_process import ServerProcess
from timer_protocol.messages import Event, EventPage, Timer
from timer_server.core.model import Countdown, Entry, Referring
from timer_server.store.base import Header
from timer_server.store.sqlite.backup_file import restore_backup
from timer_server.store.sqlite.store import SqliteStore

ENDED = {"fired", "cancelled"}


class Made(NamedTuple):
    """A backup, when it was asked for at the earliest, and when it was there at the latest."""

    file: Path
    asked_s: float
    kept_s: float


def judge(facts: Facts, made: list[Made], folder: Path, served: int) -> list[str]:
    """What is wrong with backups, the last of which are served in the end."""
    wrong = [f"clients_notice_nothing: {failure.by} failed: {failure.what}" for failure in facts.failed]
    heard = {one.event.seq: one.event for one in facts.heard}
    log = next(iter(heard.values())).log
    for number, one in enumerate(made):
        store = folder / f"{number}.db"
        before, after = restore_backup(one.file, store, partial("log-{:07}".format, number))
        entries = [entry for entry in _entries(store) if isinstance(entry, Countdown | Referring)]
        found = [*_of_the_log(heard, after, entries), *_of_its_moment(facts, heard, one, after)]
        if before.log_id != log:
            found.append(f"it_is_of_the_log: it is of log {before.log_id}; expected {log}")
        if number >= len(made) - served:
            found += _as_served(heard, log, after, store)
        wrong += [f"{what} (of {one.file.name}, up to event {after.ends.last_seq})" for what in found]
    return wrong


def _entries(store: Path) -> list[Entry]:
    with closing(SqliteStore(store, lambda: "none")) as opened:
        opened.open()
        return entries_in(opened)


def _of_the_log(heard: dict[int, Event], header: Header, entries: Iterable[Countdown | Referring]) -> Iterator[str]:
    """It has each event after its horizon, and of those before it the last ones of all that are pending; no others."""
    horizon_seq, last_seq = header.ends.horizon_seq, header.ends.last_seq
    events = {entry.seq: (entry.id, entry.version, entry.kind) for entry in entries}
    expected = {
        seq: (event.timer.id, event.timer.version, event.kind) for seq, event in heard.items() if seq <= last_seq
    }
    for seq in range(horizon_seq + 1, last_seq + 1):
        if events.get(seq) != expected.get(seq):
            yield f"events_are_those_of_the_log: event {seq} is {events.get(seq)}; expected {expected.get(seq)}"
    last = _last_versions((seq, *event) for seq, event in events.items())
    pending = {timer_id: version for timer_id, (version, kind) in last.items() if kind not in ENDED}
    yield from _differences(pending, _pending_by(heard, last_seq))


def _of_its_moment(facts: Facts, heard: dict[int, Event], made: Made, header: Header) -> Iterator[str]:
    """It has all that was acknowledged before it was asked for, and nothing that was asked once it was there."""
    # An id is free again once its timer is forgotten: what was told of the first one may not be of another.
    seq_of = {(event.timer.id, event.timer.version): seq for seq, event in sorted(heard.items(), reverse=True)}
    last_seq = header.ends.last_seq
    for one in facts.tries:
        if one.timer is not None and one.answered is not None and one.answered.at_s < made.asked_s:
            seq = seq_of.get((one.timer_id, one.timer.version))
            if seq is None or seq > last_seq:
                yield (
                    f"acknowledged_before_is_there: version {one.timer.version} of timer {one.timer_id} was told"
                    f" {made.asked_s - one.answered.at_s:.3f} s before; expected it, and it is event {seq}"
                )
        if one.asked.method == "timer.start" and one.asked.at_s > made.kept_s:
            first_seq = seq_of.get((one.timer_id, 1))
            is_first = all(other.asked.at_s > made.kept_s for other in facts.tries_of[one.timer_id])
            if is_first and first_seq is not None and first_seq <= last_seq:
                yield f"nothing_from_afterwards: timer {one.timer_id} was asked for only then, and is event {first_seq}"


def _as_served(heard: dict[int, Event], log: str, header: Header, store: Path) -> Iterator[str]:
    """A server goes on with all timers, and those who had seen more of the log before are told so."""
    last_seq = header.ends.last_seq
    with ServerProcess(store.parent, {"TIMER_STORE": f"sqlite:///{store}"}) as server:
        asker = Asker(server.commands)
        listed = {timer.id: timer for timer in all_timers(asker)}
        pages = [convert(asker.result("events.read", after={log: last_seq + by}), EventPage) for by in (0, 1)]
    pending = _pending_by(heard, last_seq)
    versions = {timer_id: listed[timer_id].version for timer_id in pending if timer_id in listed}
    went_on = {
        timer_id for timer_id, version in versions.items() if _has_only_fired(listed[timer_id], pending[timer_id])
    }
    yield from _differences({**versions, **{timer_id: pending[timer_id] for timer_id in went_on}}, pending)
    if [page.truncated for page in pages] != [False, True]:
        yield f"who_had_seen_more_is_told: truncated is {[page.truncated for page in pages]} at and beyond the end"
    if any(header.log_id not in page.next for page in pages):
        yield f"it_has_a_new_id: {pages[0].next}; expected {header.log_id}"


def _has_only_fired(timer: Timer, version: int) -> bool:
    """Whether all that happened to a timer since a version is that its time came while nobody served it."""
    return timer.state == "fired" and timer.version == version + 1


def _pending_by(heard: dict[int, Event], last_seq: int) -> dict[str, int]:
    """The versions of the timers that are pending after an event."""
    last = _last_versions(
        (seq, event.timer.id, event.timer.version, event.kind) for seq, event in heard.items() if seq <= last_seq
    )
    return {timer_id: version for timer_id, (version, kind) in last.items() if kind not in ENDED}


def _last_versions(events: Iterable[tuple[int, str, int, str]]) -> dict[str, tuple[int, str]]:
    """The version and kind of each timer's last event, of events in any order."""
    return {timer_id: (version, kind) for _, timer_id, version, kind in sorted(events)}


def _differences(found: dict[str, int], expected: dict[str, int]) -> Iterator[str]:
    for timer_id in sorted(found.keys() | expected.keys()):
        if found.get(timer_id) != expected.get(timer_id):
            yield (
                f"pending_timers_are_those_of_the_log: timer {timer_id} has version {found.get(timer_id)};"
                f" expected {expected.get(timer_id)}"
            )
