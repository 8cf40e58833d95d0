"""PostgreSQL clusters of a test's own: a primary, its synchronous standbys, and what can happen to them.

They run as a plain user, on loopback ports of their own, in a temporary folder, and end with the process that has
started them. The machine's own PostgreSQL is neither asked nor touched.
"""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

import psycopg

from drivers.ports import Ports

START_LIMIT_S = 20.0
STOP_LIMIT_S = 20.0
REPLICATED_LIMIT_S = 20.0
SUPERUSER = "postgres"
OWNER = "timers"
"""The user and the database of timer servers, no superuser; its password is the same."""

_USERS = ("postgres", "nobody")
"""Whoever comes first runs PostgreSQL where this process is root, which may not."""

_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "shared_buffers": "32MB",
    "max_connections": "40",
    "wal_sender_timeout": "5s",
    "wal_keep_size": "256MB",  # so that a standby that was away finds what it has missed
    "log_min_messages": "warning",
    "restart_after_crash": "off",
}


@cache
def binaries() -> Path | None:
    """The folder with the newest PostgreSQL of the machine."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: int(path.parts[-3]))
    if found:
        return found[-1].parent
    server = shutil.which("postgres")
    return None if server is None else Path(server).resolve().parent


@cache
def postgres_fault() -> str | None:
    """Why no clusters can be had, in one line; None where they can."""
    if (folder := binaries()) is None:
        return "PostgreSQL is not installed"
    missing = [name for name in ("initdb", "pg_basebackup") if not (folder / name).exists()]
    if missing:
        return f"{folder} has no {' and no '.join(missing)}"
    if os.geteuid() == 0 and _user() is None:
        return f"root cannot start PostgreSQL, and there is no user {' or '.join(_USERS)}"
    return None


def is_required() -> bool:
    """Whether it is a failure that no cluster can be had."""
    return os.environ.get("REQUIRE_POSTGRES") == "1"


class Node:
    """One PostgreSQL server, with its data in a folder of its own. `name` is the one that standbys are known by."""

    def __init__(self, folder: Path, name: str, **settings: str) -> None:
        self.folder = folder / name
        self.name = name
        self.settings = {**_SETTINGS, **settings}
        self._ports = Ports()
        self.port = self._ports.next()
        self.lines: list[str] = []
        """What it has logged."""
        self._process: subprocess.Popen[str] | None = None
        self._reader: threading.Thread | None = None
        self._is_ready = threading.Event()

    @property
    def address(self) -> str:
        """Its host and port."""
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        """Starts it, and waits until it takes connections."""
        settings = [word for name, value in self.settings.items() for word in ("-c", f"{name}={value}")]
        command = [str(_binary("postgres")), "-D", str(self.folder), "-p", str(self.port), *settings]
        self._is_ready.clear()
        self._process = subprocess.Popen(
            _as_plain_user(command), cwd="/", stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
        )
        self._reader = threading.Thread(target=self._read, args=(self._process,), daemon=True)
        self._reader.start()
        if not self._is_ready.wait(START_LIMIT_S) or self._process.poll() is not None:
            self.kill()
            raise AssertionError(f"PostgreSQL did not start: {self.lines}")

    def stop(self) -> None:
        """Ends it in order, and ends its sessions."""
        self._end(signal.SIGINT)

    def kill(self) -> None:
        """Ends all its processes at once, as a loss of power would."""
        for pid in self.freeze():
            _signal(pid, signal.SIGKILL)
        self._end(signal.SIGKILL)

    def freeze(self) -> list[int]:
        """Stops all its processes where they are, the first one first, so that it starts no others; gives their ids."""
        if self._process is not None:
            _signal(self._process.pid, signal.SIGSTOP)
        pids = self.pids()
        for pid in pids:
            _signal(pid, signal.SIGSTOP)
        return pids

    def thaw(self) -> None:
        """Lets them go on."""
        for pid in self.pids():
            _signal(pid, signal.SIGCONT)

    def pids(self) -> list[int]:
        """Its processes: the first one, and its children."""
        if self._process is None:
            return []
        pid = self._process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split() if self._process.poll() is None else []
        return [pid, *map(int, children)]

    def execute(self, statement: str, *parameters: object, database: str = "postgres") -> list[tuple[object, ...]]:
        """Executes a statement as the superuser, by itself, and gives its rows. Without parameters there may be several
        statements, which are one transaction, and give no rows."""
        with psycopg.connect(
            host="127.0.0.1", port=self.port, user=SUPERUSER, dbname=database, autocommit=True, connect_timeout=30
        ) as connection:
            rows = connection.execute(statement, parameters or None)
            return rows.fetchall() if rows.description else []

    def set(self, name: str, value: str) -> None:
        """Sets a parameter and has it taken up, also by the sessions that there are."""
        self.execute(f"alter system set {name} = '{value}'")
        self.execute("select pg_reload_conf()")

    def wait_until(self, condition: str) -> None:
        """Waits until a condition holds. Raises `AssertionError`."""
        for _ in range(int(REPLICATED_LIMIT_S / 0.02)):
            if self.execute(f"select {condition}") == [(True,)]:
                return
            self.execute("select pg_sleep(0.02)")
        raise AssertionError(f"not so after {REPLICATED_LIMIT_S} s: {condition}")

    def received(self) -> int:
        """How far a standby has written down what its primary has sent, in bytes of the write-ahead log."""
        last = "greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn())"
        ((count,),) = self.execute(f"select pg_wal_lsn_diff({last}, '0/0')::bigint")
        assert isinstance(count, int)
        return count

    def add_tablespace(self, name: str, place: Path) -> None:
        """Lets databases be made in a folder, which becomes PostgreSQL's."""
        _give_away(place)
        self.execute(f"create tablespace {name} location '{place}'")

    def promote(self) -> None:
        """Makes a standby the primary, and waits until it is."""
        assert self.execute("select pg_promote()") == [(True,)]

    def _end(self, number: signal.Signals) -> None:
        if self._process is not None:
            _signal(self._process.pid, number)
            self._process.wait(STOP_LIMIT_S)
            assert self._reader is not None
            self._reader.join(STOP_LIMIT_S)
            self._process = None

    def _read(self, process: "subprocess.Popen[str]") -> None:
        assert process.stderr is not None
        with process.stderr as lines:
            for line in lines:
                self.lines.append(line.rstrip())
                if "ready to accept" in line:
                    self._is_ready.set()
        self._is_ready.set()


class Cluster:
    """A primary with the database of timer servers, and standbys `s1`, `s2`, … which confirm its commits.

    Without standbys it does not wait for its disk either, unless `is_fsynced`.
    """

    def __init__(self, standbys: int = 0, *, is_fsynced: bool = False, **settings: str) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="timer-postgres-"))
        _give_away(self._folder)
        self._settings = {"fsync": "on" if is_fsynced else "off", **settings}
        self.primary = Node(self._folder, "primary", **self._settings)
        self.standbys: list[Node] = []
        self.fallen: list[Node] = []
        """Nodes that were the primary once, until they are rebuilt."""
        try:
            _run("initdb", "-D", str(self.primary.folder), "-U", SUPERUSER, "-E", "UTF8", "--no-locale", "--no-sync")
            self._require_passwords()
            self.primary.start()
            self.primary.execute(f"create role {OWNER} login password '{OWNER}'")
            self.primary.execute(f"create database {OWNER} owner {OWNER}")
            for number in range(1, standbys + 1):
                self.standbys.append(self._standby(f"s{number}"))
            if self.standbys:
                self.replicate()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> "Cluster":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def nodes(self) -> list[Node]:
        """All of them, the first primary first."""
        return [self.primary, *self.standbys]

    def url(self, *nodes: Node, user: str = OWNER, password: str = OWNER, database: str = OWNER) -> str:
        """The database at these nodes, or at all of them."""
        hosts = ",".join(node.address for node in nodes or self.nodes)
        return f"postgresql://{user}{f':{password}' if password else ''}@{hosts}/{database}"

    def new_place(self, name: str) -> str:
        """Makes an empty schema, and returns a URL for which it is the database: it costs less."""
        made = f"drop schema if exists {name} cascade; create schema {name} authorization {OWNER}"
        self.primary.execute(made, database=OWNER)
        return f"{self.url()}?options=-csearch_path%3D{name}"

    def replicate(self, names: str = "") -> None:
        """Has commits of the primary wait for standbys, by default for any one, and waits until they follow."""
        self._wait_for_any(names)
        for _ in range(int(REPLICATED_LIMIT_S / 0.02)):
            states = self.primary.execute("select sync_state from pg_stat_replication where state = 'streaming'")
            if len(states) == len(self.standbys) and any(state != ("async",) for state in states):
                return
            self.primary.execute("select pg_sleep(0.02)")
        raise AssertionError(f"the standbys do not follow: {self.primary.lines}")

    def _wait_for_any(self, names: str = "") -> None:
        """Has commits of the primary wait for a standby, by default for any one."""
        self.primary.set("synchronous_standby_names", names or f"ANY 1 ({', '.join(s.name for s in self.standbys)})")

    def follow(self, node: Node, primary: Node) -> None:
        """Has a node that is stopped follow another primary once it is started."""
        _write(node.folder / "standby.signal", "")
        with (node.folder / "postgresql.auto.conf").open("a") as file:
            file.write(f"primary_conninfo = '{_conninfo(primary, node.name)}'\n")

    def detach_standbys(self) -> None:
        """Has no standby follow the primary any more: whoever promotes one beside a primary that lives begins with
        that, or others would go on confirming what the promoted one will never have."""
        for standby in self.standbys:
            standby.set("primary_conninfo", "")
        for standby in self.standbys:
            standby.wait_until("not exists (select from pg_stat_wal_receiver)")

    def promote_foremost(self) -> Node:
        """Makes the standby that has most the primary, as a manager has to. Nobody follows it yet."""
        self.fallen.append(self.primary)
        self.primary = max(self.standbys, key=Node.received)
        self.standbys.remove(self.primary)
        self.primary.promote()
        return self.primary

    def follow_promoted(self) -> None:
        """Has all standbys follow the primary that was promoted, and its commits wait for them.

        It is told their names first: once a standby has confirmed, PostgreSQL 15 does not look again at commits that
        already wait when the names are set.
        """
        self._wait_for_any()
        for standby in self.standbys:
            standby.kill()
            self.follow(standby, self.primary)
            standby.start()
        self.replicate()

    def rebuild(self) -> None:
        """Makes the nodes that have fallen standbys, each with its port, and none of its data."""
        while self.fallen:
            node = self.fallen.pop()
            node.kill()
            shutil.rmtree(node.folder)
            self.standbys.append(node)
            self._begin_as_standby(node)
        self.replicate()

    def close(self) -> None:
        """Ends all of it, and removes it."""
        for node in [*self.nodes, *self.fallen]:
            node.kill()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _standby(self, name: str) -> Node:
        node = Node(self._folder, name, **self._settings)
        self._begin_as_standby(node)
        return node

    def _begin_as_standby(self, node: Node) -> None:
        conninfo = _conninfo(self.primary, node.name)
        _run("pg_basebackup", "-D", str(node.folder), "-d", conninfo, "-R", "-X", "stream", "-c", "fast", "--no-sync")
        self.follow(node, self.primary)
        node.start()

    def _require_passwords(self) -> None:
        lines = (f"host all {SUPERUSER} 127.0.0.1/32 trust", f"host replication {SUPERUSER} 127.0.0.1/32 trust")
        _write(self.primary.folder / "pg_hba.conf", "\n".join([*lines, "host all all 127.0.0.1/32 scram-sha-256", ""]))


@contextmanager
def confirmed(node: Node, name: str) -> Iterator[None]:
    """Somebody confirms what a primary writes, as the standby of that name would, while the block lasts."""
    # A folder of its own each time: it would go on from what it has, which a node may not have any more.
    place = Path(tempfile.mkdtemp(prefix=f"received-by-{name}-", dir=node.folder.parent))
    _give_away(place)
    command = [str(_binary("pg_receivewal")), "-D", str(place), "-d", _conninfo(node, name), "--synchronous"]
    with subprocess.Popen(_as_plain_user(command), cwd="/", stderr=subprocess.DEVNULL) as receiving:
        try:
            node.wait_until("exists (select from pg_stat_replication where sync_state in ('sync', 'quorum'))")
            yield
        finally:
            receiving.kill()


@contextmanager
def frozen(node: Node) -> Iterator[None]:
    """All processes of a node stand still while the block lasts."""
    node.freeze()
    try:
        yield
    finally:
        node.thaw()


def _conninfo(primary: Node, name: str) -> str:
    return f"host=127.0.0.1 port={primary.port} user={SUPERUSER} application_name={name}"


def _run(program: str, *arguments: str) -> None:
    command = _as_plain_user([str(_binary(program)), *arguments])
    done = subprocess.run(command, cwd="/", capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


def _binary(program: str) -> Path:
    folder = binaries()
    assert folder is not None, "there is no PostgreSQL"
    return folder / program


def _as_plain_user(command: list[str]) -> list[str]:
    """A command that ends with the thread that starts it, as a plain user where this process is root."""
    user = _user() if os.geteuid() == 0 else None
    as_user = [] if user is None else [f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
    return ["setpriv", *as_user, "--pdeathsig", "KILL", "--", *command]


@cache
def _user() -> pwd.struct_passwd | None:
    known = {user.pw_name: user for user in pwd.getpwall()}
    return next((known[name] for name in _USERS if name in known), None)


def _write(path: Path, text: str) -> None:
    path.write_text(text)
    _give_away(path)


def _give_away(path: Path) -> None:
    if os.geteuid() == 0 and (user := _user()) is not None:
        os.chown(path, user.pw_uid, user.pw_gid)


def _signal(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)
