"""The table of limits is complete, its values are the code's, and each limit has a test."""

import ast
from pathlib import Path

import timer_protocol.limits
import timer_server.limits
from docs.protocol_document import plain, tables
from timer_protocol import durations
from timer_protocol.limits import Limits

MODULES = (timer_protocol.limits, timer_server.limits)

OF_CONSTANTS = {
    "parked_requests": "PARKED_MAXIMUM",
    "parked_bytes": "PARKED_BYTES",
    "percent of these two for one connection": "CONNECTION_PERCENT",
    "percent of these two for all connections of one key": "KEY_PERCENT",
    "forwarded_requests": "FORWARDED_MAXIMUM",
    "forwarded_bytes": "FORWARDED_BYTES",
    "a request waits at least, ms": "PARKED_LEAST_MS",
    "requests that give way to one message": "GIVING_WAY_MOST",
    "bytes of the envelope": "ENVELOPE_BYTES",
    "characters of a request's id": "REQUEST_ID_CHARACTERS",
    "frames of a message": "FRAMES_MAXIMUM",
    "bytes of requests that wait to be handled, of all peers": "INTAKE_BYTES",
    "characters of an id, a prefix or after": "ID_CHARACTERS",
    "characters of a log's id": "LOG_ID_CHARACTERS",
    "logs of a store, and in a cursor": "LOGS_MAXIMUM",
    "characters of a label": "LABEL_CHARACTERS",
    "characters of a key": "KEY_CHARACTERS",
    "characters of a moment": "MOMENT_CHARACTERS",
    "characters of a zone": "ZONE_CHARACTERS",
    "characters of a tracestate": "TRACESTATE_CHARACTERS",
    "members of a tracestate": "TRACESTATE_MEMBERS",
    "keys remembered of a timer": "KEYS_REMEMBERED",
    "objects and arrays within one another in a payload": "PAYLOAD_DEPTH",
    "limit of a page, default": "PAGE_DEFAULT",
    "limit of a page, maximum": "PAGE_MAXIMUM",
    "payload bytes of a page": "PAGE_BYTES",
    "entries looked at for a page": "SCAN_MAXIMUM",
    "bytes looked through for a page of events": "SCAN_BYTES",
    "payload bytes of a page that was waited for": "PARKED_PAGE_BYTES",
    "reply_bytes": "REPLY_BYTES",
    "reply_entries": "REPLY_ENTRIES",
    "wait_ms": "WAIT_MAXIMUM_MS",
    "texts of an unfinished triple are kept, s": "TRIPLE_EXPIRES_S",
    "unfinished triples": "TRIPLES_MAXIMUM",
    "texts of the dialogue logged in a second": "DIALOGUE_LINES_A_SECOND",
    "interval of ~beat, ms": "BEAT_INTERVAL_MS",
    "replies queued for a peer that does not read": "REPLIES_QUEUED",
    "bytes of replies queued for a peer that does not read": "PEER_BACKLOG_BYTES",
    "bytes of replies queued for all such peers": "BACKLOG_BYTES",
    "events queued for a subscriber that does not read": "EVENTS_QUEUED",
    "bytes of events queued for the slowest subscriber": "EVENTS_BYTES",
    "bytes of a subscription": "SUBSCRIPTION_BYTES",
    "bytes of topics of a subscriber": "SUBSCRIBER_BYTES",
    "subscriptions of a subscriber without a pause": "SUBSCRIBER_BURST",
    "bytes of all topics subscribed to": "SUBSCRIBED_BYTES",
    "bytes of a message between servers": "PEER_BYTES",
    "bytes of requests queued for a server that does not read": "PEER_QUEUED_BYTES",
    "connections where servers connect that have not said whose they are": "PEERS_UNGREETED",
}
"""Rows of the table, and the constants they are about, of the protocol's `limits` or the server's."""


def rows() -> dict[str, dict[str, str]]:
    return {plain(row["limit"]): row for row in tables("Limits")[0]}


def numbers(path: Path) -> set[str]:
    """Names of a module that stand for whole numbers, as far as the module itself says so."""
    found = set()
    for statement in ast.parse(path.read_text()).body:
        if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
            name, value = statement.targets[0].id, statement.value
            is_number = isinstance(value, ast.BinOp) or (isinstance(value, ast.Constant) and type(value.value) is int)
            if name.isupper() and is_number:
                found.add(name)
    return found


def test_every_row_has_the_value_of_the_code_and_there_are_no_others() -> None:
    values = {name: getattr(Limits(), name) for name in Limits.__struct_fields__}
    constants = {name: value for module in MODULES for name, value in vars(module).items()}
    values |= {row: constants[constant] for row, constant in OF_CONSTANTS.items()}
    values["sum of the amounts of time, ms"] = durations.MAXIMUM_MS

    assert {name: row["value"] for name, row in rows().items()} == {name: str(value) for name, value in values.items()}


def test_every_constant_has_its_row() -> None:
    assert set(OF_CONSTANTS.values()) == {name for module in MODULES for name in numbers(Path(str(module.__file__)))}


def test_every_limit_says_why_or_what_happens_beyond_it() -> None:
    for name, row in rows().items():
        if name not in ("limit of a page, default", "interval of ~beat, ms"):
            assert row["what it is, and why so much"] or row["beyond it"] != "–", name
