"""A server with its timers in PostgreSQL: its start and its commands, and that nothing is lost where it is killed."""

import re
import signal
from pathlib import Path

import pytest
import zmq

from drivers.peers import REPLY_LIMIT_MS, requester, socket_to
from drivers.server_process import ServerProcess, timer_server
from keys import KeyRing
from postgres_store import new_place, shared_cluster
from timer_server import health
from timer_server import stores as stores_module
from timer_server.limits import SHARDS
from timer_server.loop.signals import OperatorSignals
from timer_server.store.base import StoreAway, StoreError
from timer_server.stores import once_there

NOBODY = "postgresql://timers@127.0.0.1:1/timers"


@pytest.fixture
def url() -> str:
    """An empty place in a database."""
    return new_place("served")


def serving(folder: Path, url: str) -> ServerProcess:
    return ServerProcess(folder, {"TIMER_STORE": url, "TIMER_REPLICATION": "none"})


def test_timers_are_there_after_a_crash_in_all_shards(tmp_path: Path, url: str) -> None:
    ids = [f"job/{number}" for number in range(50)]
    with serving(tmp_path, url) as server:
        with requester(server.commands) as rpc:
            for timer_id in ids:
                rpc.call("timer.start", id=timer_id, hours=1, payload="x")
            rpc.call("timer.cancel", id=ids[7])
        server.kill()
        server.start()
        server.wait_for_shards(SHARDS)  # once the first run was silent for a lease
        with requester(server.commands) as rpc:
            assert [timer["id"] for timer in rpc.call("timer.list", limit=100, state="running")["timers"]] == sorted(
                set(ids) - {ids[7]}
            )
            rpc.call("timer.start", id="soon", seconds=0.05)
            assert rpc.call("timer.wait", id="soon", wait_ms=5_000)["state"] == "fired"
            assert rpc.call("timer.get", id="soon")["state"] == "fired"
        assert server.terminate() == 0
    (made,) = [line for line in server.lines if line["event"].startswith("made the store")]
    assert (made["shards"], made["lease_ms"]) == (16, 2_000)
    stores = {line["store"] for line in server.lines if line["event"] == "listening"}
    assert stores == {url.replace("timers:timers", "timers:***")}
    assert "timers:timers" not in str(server.lines)


def test_a_port_for_other_servers_takes_nobody_who_is_none(tmp_path: Path, url: str) -> None:
    ring = KeyRing(tmp_path / "keys")
    ring.add("gateway", role="server")
    secret = {"TIMER_CURVE_SERVER_SECRET": str(ring.files.secret)}
    with ServerProcess(tmp_path, {"TIMER_STORE": url, "TIMER_REPLICATION": "none", **secret}) as server:
        (listening,) = [line for line in server.lines if line["event"] == "listening"]
        options = ring.options("gateway")
        with socket_to(zmq.DEALER, listening["peers"], **options, heartbeat_ivl=100) as gateway:
            with gateway.get_monitor_socket(zmq.EVENT_DISCONNECTED) as monitor:
                gateway.send_multipart([b"", b"{}"])
                assert monitor.poll(REPLY_LIMIT_MS)
                gateway.disable_monitor()
            ring.remove("gateway")
            server.signal(signal.SIGHUP)
            assert server.wait_for_log("keys read")["servers"] == 0
            server.wait_for_log("connections refused: their keys are not allowed")
        assert server.terminate() == 0


def test_a_port_for_other_servers_is_open_to_others_only_with_keys(tmp_path: Path) -> None:
    anywhere = {"TIMER_BIND": "tcp://127.0.0.1:0", "TIMER_EVENTS_BIND": "tcp://127.0.0.1:0"}
    refused = timer_server(folder=tmp_path, TIMER_STORE=NOBODY, TIMER_PEER_BIND="tcp://*:0", **anywhere)
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
    assert "TIMER_PEER_BIND is 'tcp://*:0', which others than this machine can reach" in refused.stderr
    assert "it needs keys (TIMER_CURVE_SERVER_SECRET)" in refused.stderr


def test_a_store_is_made_as_it_was_asked_for_and_stays_so(tmp_path: Path, url: str) -> None:
    def init(*arguments: str) -> tuple[int, str]:
        done = timer_server("init", *arguments, folder=tmp_path, TIMER_STORE=url, TIMER_REPLICATION="none")
        assert "timers:timers" not in done.stdout + done.stderr
        return done.returncode, done.stdout + done.stderr

    code, said = init("--shards", "3", "--lease", "2.5")
    assert (code, said) == (
        0,
        f"made postgresql://timers@{shared_cluster().primary.address}/timers: 3 shards, a lease of 2.5 s\n",
    )
    assert init("--shards", "3", "--lease", "2.5")[1].startswith("kept postgresql://")
    code, said = init()
    assert (code, said.count("\n")) == (1, 1)
    assert "3 shards, a lease of 2.5 s; a store stays as it was made" in said


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--shards", "0"), "'0' is no whole number from 1 to 1024"),
        (("--shards", "1025"), "is no whole number from 1 to 1024"),
        (("--lease", "0.5"), "'0.5' is no number of seconds from 1 to 60"),
        (("--lease", "nan"), "'nan' is no number of seconds from 1 to 60"),
        ((), "TIMER_STORE names no PostgreSQL database"),
    ],
)
def test_what_cannot_be_made_is_a_sentence(tmp_path: Path, arguments: tuple[str, ...], said: str) -> None:
    done = timer_server("init", *arguments, folder=tmp_path)

    assert done.returncode == 2
    assert said in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_the_format_of_entries_is_raised_by_a_command(tmp_path: Path, url: str) -> None:
    """Of one there is no newer one yet; tests/store/postgres/test_upgrade.py has two."""

    def upgrade(*arguments: str, store: str = url) -> tuple[int, str]:
        done = timer_server("upgrade", *arguments, folder=tmp_path, TIMER_STORE=store, TIMER_REPLICATION="none")
        return done.returncode, done.stdout + done.stderr

    shown = f"postgresql://timers@{shared_cluster().primary.address}/timers"
    assert upgrade() == (1, f"timer-server: cannot open {shown}: it holds no timers\n")
    assert timer_server("init", folder=tmp_path, TIMER_STORE=url, TIMER_REPLICATION="none").returncode == 0
    assert upgrade("--dry-run") == (0, f"{shown}: entries are written in format 1\n")
    assert upgrade() == (0, f"kept {shown}: entries are written in format 1\n")
    code, said = upgrade(store="memory:")
    assert code == 2
    assert "TIMER_STORE names no PostgreSQL database: other stores are made, and upgraded, by the server itself" in said


def test_after_a_restore_every_log_has_a_new_id(tmp_path: Path, url: str) -> None:
    settings = {"TIMER_STORE": url, "TIMER_REPLICATION": "none"}
    assert timer_server("init", "--shards", "2", folder=tmp_path, **settings).returncode == 0
    with serving(tmp_path, url) as server:
        with requester(server.commands) as rpc:
            for number in range(10):
                rpc.call("timer.start", id=str(number), hours=1)
            before = rpc.call("events.read", after={})["next"]
        assert server.terminate() == 0

    done = timer_server("restored", folder=tmp_path, **settings)

    assert (done.returncode, done.stderr) == (0, "")
    renamed = re.findall(r"log (\S+) goes on as (\S+) after event (\d+)", done.stdout)
    assert {old: int(seq) for old, _, seq in renamed} == before
    assert done.stdout.endswith("; the server may be started\n")
    with serving(tmp_path, url) as server, requester(server.commands) as rpc:
        page = rpc.call("events.read", after=before)
        assert (page["events"], page["truncated"]) == ([], False)
        assert page["next"] == {new: int(seq) for _, new, seq in renamed}


class TestAway:
    def test_a_server_waits_and_sigterm_ends_that(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(health, "_TIMEOUT_MS", 100)
        bind = f"ipc://{tmp_path}/commands"
        server = ServerProcess(tmp_path, {"TIMER_STORE": NOBODY, "TIMER_BIND": bind})
        server.launch()
        try:
            reason = server.wait_for_log("the store is away; the server waits for it")["reason"]
            fault, _ = health.check(bind, None)
            assert server.terminate() == 0
        finally:
            server.kill()

        assert f"no answer from {bind} within 100 ms: a server that still starts or waits for its store, " in str(fault)
        assert reason == f"cannot open {NOBODY}: 127.0.0.1:1: Connection refused"
        assert [line["event"] for line in server.lines][1:] == ["told to stop before anybody was served", "stopped"]

    def test_it_ends_where_that_takes_too_long_and_goes_on_where_it_does_not(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(stores_module, "_PAUSE_MS", 1)
        signals = OperatorSignals()
        tries = iter([StoreAway("away"), StoreAway("away"), None, StoreAway("still away"), StoreError("damaged")])

        def attempt() -> str:
            if (error := next(tries)) is not None:
                raise error
            return "there"

        assert once_there(attempt, signals) == "there"
        with pytest.raises(StoreError, match=r"^damaged$"):
            once_there(attempt, signals)
        tries = iter([StoreAway("away")] * 2)
        monkeypatch.setattr(stores_module, "WAIT_LIMIT_S", 0)
        with pytest.raises(StoreError, match=r"^away; it was waited for 0 s$"):
            once_there(attempt, signals)
        signals.close()

    @pytest.mark.parametrize(
        ("store", "code", "said"),
        [
            ("postgresql://timers:wrong@{host}/timers", 1, "password authentication failed"),
            ("postgresql://timers:wrong@{host}/timers?colour=red", 2, "invalid URI query parameter"),
        ],
    )
    def test_what_stays_as_it_is_ends_the_start_at_once(self, tmp_path: Path, store: str, code: int, said: str) -> None:
        ended = timer_server(
            folder=tmp_path,
            TIMER_STORE=store.format(host=shared_cluster().primary.address),
            TIMER_BIND=f"ipc://{tmp_path}/commands",
            TIMER_EVENTS_BIND=f"ipc://{tmp_path}/events",
            TIMER_PEER_BIND=f"ipc://{tmp_path}/peers",
        )

        assert (ended.returncode, ended.stderr.count("\n")) == (code, 1)
        assert said in ended.stderr
        assert "wrong" not in ended.stderr
