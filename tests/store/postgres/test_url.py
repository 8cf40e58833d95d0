"""The address of a database: several hosts, what may be added, and a password that nobody gets to see."""

import socket
import threading

import pytest
from psycopg.conninfo import conninfo_to_dict

from timer_protocol.settings import SERVER_VARIABLES, SettingError
from timer_server.store.postgres.database import named
from timer_server.store.postgres.exchange import connecting, finish
from timer_server.store.postgres.sentences import Lost
from timer_server.store.postgres.url import parse

STORE = next(variable for variable in SERVER_VARIABLES if variable.name == "TIMER_STORE")


def test_each_host_is_tried_by_itself_and_always_for_the_primary() -> None:
    url = parse("postgresql://me:secret@one,two:5433,[::1]:5434/timers?sslmode=require")

    assert url.shown == "postgresql://me@one,two:5433,[::1]:5434/timers"
    assert [host.name for host in url.hosts] == ["one", "two:5433", "::1:5434"]
    for host, (name, port) in zip(url.hosts, [("one", None), ("two", "5433"), ("::1", "5434")], strict=True):
        given = conninfo_to_dict(host.conninfo.decode())
        assert (given["host"], given.get("port"), given["dbname"]) == (name, port, "timers")
        assert (given["user"], given["password"], given["sslmode"]) == ("me", "secret", "require")
        assert given["target_session_attrs"] == "read-write"


def test_only_names_are_looked_up() -> None:
    hosts = parse("postgresql://me@one:5433,127.0.0.1:5434,[::1]/timers").hosts
    assert [host.to_look_up for host in hosts] == ["one", "", ""]
    assert parse("postgresql:///timers?host=/run/postgresql").hosts[0].to_look_up == ""
    assert parse("postgresql://me@one/timers?hostaddr=127.0.0.1").hosts[0].to_look_up == ""

    found = conninfo_to_dict(hosts[0].at(["127.0.0.1", "::1"]).decode())
    assert (found["host"], found["hostaddr"], found["port"]) == ("one,one", "127.0.0.1,::1", "5433")


def test_a_name_service_that_does_not_answer_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: answers.wait(20) and [])
    (host,) = parse("postgresql://me@one/timers").hosts
    try:
        with pytest.raises(Lost, match="name service"):
            finish(connecting(host), 10)
    finally:
        answers.set()
    with pytest.raises(Lost, match="it has no address"):
        finish(connecting(host), 5_000)


def test_one_port_may_be_that_of_all_hosts() -> None:
    assert [host.name for host in parse("postgresql:///timers?host=one,two&port=5433").hosts] == [
        "one:5433",
        "two:5433",
    ]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("postgresql://me:sec/ret@host/timers", "write @ as %40, / as %2F"),
        ("postgresql://me:se%zzcret@host/timers", "invalid percent-encoded token"),
        ("postgresql://me:secret@host/timers?target_session_attrs=any", "target_session_attrs is 'any', and has to be"),
        ("postgresql://me@host/timers?password=secret&colour=red", "invalid URI query parameter"),
        ("postgresql://me:secret@one,two,three/timers?port=1,2", "it names 3 hosts, but 2 values of port"),
    ],
)
def test_what_cannot_be_read_is_said_without_the_password(text: str, reason: str) -> None:
    with pytest.raises(SettingError) as refusal:
        named(text, "none")

    sentence = str(refusal.value)
    assert sentence.startswith("TIMER_STORE is 'postgresql://me")
    assert reason in sentence
    assert not any(part in sentence for part in ("secret", "sec/", "ret@", "zzcret"))


@pytest.mark.parametrize("text", ["postgres:/me:secret@host/timers", "me:secret@host", "mysql://me:se@cr:et@host/x"])
def test_a_setting_that_is_no_store_is_quoted_without_the_password(text: str) -> None:
    with pytest.raises(SettingError, match=r"(me|postgres):\*\*\*@host.*postgresql://USER@HOST") as refusal:
        STORE.read({"TIMER_STORE": text})

    assert not any(part in str(refusal.value) for part in ("secret", "cr:et"))


def test_a_password_from_the_query_is_shown_to_nobody() -> None:
    assert parse("postgresql://me@host/timers?password=secret").shown == "postgresql://me@host/timers"
