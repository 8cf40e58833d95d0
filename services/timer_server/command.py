"""The command `timer-server`: reads the settings, then serves until SIGTERM or SIGINT; makes keys; makes a store for
several servers; makes backups, and stores of them; renames logs; raises the format in which entries are written."""

import argparse
import signal
import sys
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from timer_protocol import __version__
from timer_protocol.environment import process_environment, read_environment, told_unknown
from timer_protocol.key_files import SERVER_ROLE, check_share
from timer_protocol.key_pairs import KeyFileError
from timer_protocol.log_writer import set_up
from timer_protocol.plurals import counted
from timer_protocol.sender import DEFAULT_RIGHTS
from timer_protocol.settings import SERVER_VARIABLES, SettingError
from timer_protocol.signal_death import die_of
from timer_protocol.standard_streams import make_usable
from timer_server import arguments, standard_streams
from timer_server.access.keys import Grant, make_client_keys, make_server_keys
from timer_server.health import check
from timer_server.limits import LEASE_MS, SHARDS
from timer_server.logs import fields, log
from timer_server.settings import Config, read_config

if TYPE_CHECKING:
    from timer_server.store.base import Header

EXIT_OK = 0
EXIT_FAILED = 1
EXIT_MISUSED = 2

_KEYGEN_HELP = (
    "TIMER_CURVE_SERVER_SECRET=FOLDER/server.key_secret turns encryption on. A client needs its own .key_secret file,"
    " and server.key; one that makes its pair itself with `timer keygen` hands over its .key file for FOLDER/clients."
)


_INIT_HELP = (
    "Both are fixed from then on, and the same for all servers. More shards let more servers share the work, at a small"
    " cost for each. Without this the first server that starts makes the store, with the defaults."
)

_RESTORED_HELP = (
    "Watchers then notice that events are gone which they may have seen: they go on where the copy ends. Whatever the"
    " log held beyond the copy is given up."
)


_BACKUP_HELP = (
    "The server that has the store of TIMER_STORE open sends a copy of it, as it is when this begins, and serves on."
    " FILE is there once all of it is on the disk and was found whole; an older backup of that name is replaced then."
)

_RESTORE_HELP = (
    "STORE is what TIMER_STORE says of it, or a path, and must not be there yet. Its log has a new id, so watchers"
    " notice that events are gone which they may have seen. Timers that have ended since the backup end again."
)

_UPGRADE_HELP = (
    "It is refused while a server lives that cannot read that format; afterwards releases that cannot do not start."
    " Servers that run write in it once they are started again. A"
    " server that has died counts until the others have noticed, which takes them as long as the lease."
)


def run(words: list[str] | None = None) -> int:
    """Runs the command and returns its exit code."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # must not end the server before it can read its keys again
    make_usable()
    parsed = _parser().parse_args(words)
    if parsed.command == "keygen":
        return _make_keys(parsed)
    if parsed.command in {"check", "restore"}:
        return _read_backup(parsed)
    try:
        variables = read_environment()
        config = read_config(variables)
    except SettingError as error:
        return _complain(str(error), EXIT_MISUSED)
    unknown = told_unknown(variables)
    if not parsed.check and parsed.command is None:
        return _serve(config, unknown)
    for sentence in unknown:
        standard_streams.complain(f"timer-server: {sentence}")
    return _check(config) if parsed.check else _work_on_store(config, parsed)


def _serve(config: Config, unknown: list[str]) -> int:
    """Serves to the end. `unknown` are sentences about variables, to be logged."""
    # Imported here, since the health check runs every few seconds and needs none of it.
    from timer_protocol.service_manager import service_manager  # noqa: PLC0415
    from timer_server.loop.clock import system_sources  # noqa: PLC0415
    from timer_server.loop.garbage import GarbagePolicy  # noqa: PLC0415
    from timer_server.loop.signals import operator_signals  # noqa: PLC0415
    from timer_server.serve import serve  # noqa: PLC0415
    from timer_server.store.base import StoreError  # noqa: PLC0415
    from timer_server.wire.endpoints import BindError  # noqa: PLC0415

    writer = set_up(log, config.log_level, config.log_format)
    complain = writer.put  # whatever this process says may meet a stalled reader
    for sentence in unknown:
        log.warning(sentence)
    try:
        with service_manager(process_environment(), _tell_untold) as manager, operator_signals(manager) as signals:
            serve(config, system_sources(), signals, GarbagePolicy)
    except SettingError as error:
        return _complain(str(error), EXIT_MISUSED, complain)
    except KeyFileError as error:
        return _complain(f"{error} (TIMER_CURVE_SERVER_SECRET, TIMER_CURVE_CLIENTS)", EXIT_MISUSED, complain)
    except (StoreError, BindError) as error:
        return _complain(str(error), EXIT_FAILED, complain)
    except Exception:
        log.exception("the server failed; a restart recovers")
        return EXIT_FAILED
    if signals.is_interrupted:
        writer.flush()
        die_of(signal.SIGINT)
    return EXIT_OK


def _tell_untold(reason: str) -> None:
    log.warning("the service manager cannot be told (NOTIFY_SOCKET)", extra=fields(reason=reason))


def _check(config: Config) -> int:
    try:
        fault, unreachable = check(config.bind, config.curve)
    except (SettingError, KeyFileError) as error:
        return _complain(str(error), EXIT_MISUSED)
    for sentence in unreachable:
        standard_streams.complain(f"timer-server: {sentence}")
    return EXIT_OK if fault is None else _complain(fault, EXIT_FAILED)


def _work_on_store(config: Config, parsed: argparse.Namespace) -> int:
    """Runs a command about the store that TIMER_STORE names."""
    if parsed.command == "restored":
        return _rename_logs(config)
    if parsed.command == "backup":
        return _back_up(config, parsed.file)
    if not config.store_url:
        others = "other stores are made, and upgraded, by the server itself"
        return _complain(f"TIMER_STORE names no PostgreSQL database: {others}", EXIT_MISUSED)
    return _make_store(config, parsed) if parsed.command == "init" else _upgrade(config, parsed)


def _make_store(config: Config, parsed: argparse.Namespace) -> int:
    from timer_server.random_ids import new_log_id  # noqa: PLC0415 - nor this
    from timer_server.store.base import StoreError  # noqa: PLC0415
    from timer_server.store.postgres.database import named  # noqa: PLC0415
    from timer_server.store.postgres.schema import Shape  # noqa: PLC0415

    wanted = Shape(parsed.shards, parsed.lease)
    try:
        with closing(named(config.store_url, config.replication)) as database:
            is_new = database.open(wanted, new_log_id)
    except SettingError as error:
        return _complain(str(error), EXIT_MISUSED)
    except StoreError as error:
        return _complain(str(error), EXIT_FAILED)
    shape = database.shape
    told = f"{database.url.shown}: {counted(shape.shards, 'shard')}, a lease of {shape.lease_ms / 1000:g} s"
    if shape != wanted:
        return _complain(f"{told}; a store stays as it was made", EXIT_FAILED)
    standard_streams.write(f"{'made' if is_new else 'kept'} {told}\n")
    return EXIT_OK


def _upgrade(config: Config, parsed: argparse.Namespace) -> int:
    from timer_server.store.base import StoreError  # noqa: PLC0415 - nor this
    from timer_server.store.postgres.database import named  # noqa: PLC0415
    from timer_server.upgrade import upgrade  # noqa: PLC0415

    try:
        with closing(named(config.store_url, config.replication)) as database:
            lines, fault = upgrade(database, is_dry_run=parsed.dry_run)
    except SettingError as error:
        return _complain(str(error), EXIT_MISUSED)
    except StoreError as error:
        return _complain(str(error), EXIT_FAILED)
    for line in lines:
        standard_streams.write(f"{line}\n")
    return EXIT_OK if fault is None else _complain(fault, EXIT_FAILED)


def _back_up(config: Config, file: Path) -> int:
    from timer_server.backup import backup  # noqa: PLC0415 - nor this

    if (store := config.store_path) is None:
        of_postgres = "PostgreSQL has backups of its own (docs/postgresql.md)"
        other = of_postgres if config.store_url else "what is in memory ends with its server"
        return _complain(f"TIMER_STORE names no file: {other}", EXIT_MISUSED)
    return _tell(partial(backup, store, file))


def _read_backup(parsed: argparse.Namespace) -> int:
    from timer_server.backup import check_file, restore  # noqa: PLC0415 - nor this
    from timer_server.random_ids import new_log_id  # noqa: PLC0415

    if parsed.command == "check":
        return _tell(partial(check_file, parsed.file))
    return _tell(partial(restore, parsed.file, parsed.to, new_log_id))


def _tell(work: Callable[[], str]) -> int:
    """Does some work and writes what it tells, or why it could not be done."""
    from timer_server.store.base import StoreError  # noqa: PLC0415 - nor this

    try:
        told = work()
    except StoreError as error:
        return _complain(str(error), EXIT_FAILED)
    standard_streams.write(f"{told}\n")
    return EXIT_OK


def _rename_logs(config: Config) -> int:
    from timer_server.store.base import StoreError  # noqa: PLC0415 - nor this

    if config.store_path is None and not config.store_url:
        return _complain("TIMER_STORE is 'memory:', which cannot have been restored; name the file", EXIT_MISUSED)
    try:
        renamed = _restored(config)
    except SettingError as error:
        return _complain(str(error), EXIT_MISUSED)
    except StoreError as error:
        return _complain(str(error), EXIT_FAILED)
    lines = [
        f"log {before.log_id} goes on as {after.log_id} after event {after.ends.last_seq}" for before, after in renamed
    ]
    standard_streams.write("\n".join(lines) + "; the server may be started\n")
    return EXIT_OK


def _restored(config: Config) -> "list[tuple[Header, Header]]":
    """The headers of all logs before and after they got new ids. Raises `SettingError` and `StoreError`."""
    from timer_server.random_ids import new_log_id  # noqa: PLC0415 - nor this

    if config.store_path is not None:
        from timer_server.store.sqlite.store import SqliteStore  # noqa: PLC0415

        with closing(SqliteStore(config.store_path, new_log_id)) as store:
            return [store.restored()]
    from timer_server.store.postgres.database import named  # noqa: PLC0415
    from timer_server.store.postgres.restored import restored  # noqa: PLC0415

    with closing(named(config.store_url, config.replication)) as database:
        return restored(database, new_log_id)


def _make_keys(parsed: argparse.Namespace) -> int:
    allowed = parsed.prefix or parsed.rights or parsed.max_timers
    if parsed.client is None and (allowed or parsed.role or parsed.hand_over):
        sentence = "--prefix, --rights, --max-timers, --role and --hand-over are about a client: name it with --client"
        return _complain(sentence, EXIT_MISUSED)
    if parsed.role and allowed:
        sentence = "--prefix, --rights and --max-timers are about a client, and --role server makes the key of a server"
        return _complain(sentence, EXIT_MISUSED)
    try:
        check_share(parsed.prefix, parsed.max_timers)
    except ValueError as error:
        return _complain(str(error), EXIT_MISUSED)
    grant = Grant(parsed.prefix, parsed.rights or DEFAULT_RIGHTS, parsed.max_timers, parsed.role)
    try:
        files = make_server_keys(parsed.folder)
        if parsed.client is not None:
            files += make_client_keys(parsed.folder, parsed.client, parsed.hand_over or parsed.folder, grant)
    except KeyFileError as error:
        return _complain(str(error), EXIT_FAILED)
    for path, is_new in files:
        standard_streams.write(f"{'made' if is_new else 'kept'} {path}\n")
    return EXIT_OK


def _parser() -> argparse.ArgumentParser:
    width = max(len(variable.name) for variable in SERVER_VARIABLES)
    settings = "\n".join(
        f"  {variable.name:{width}}  {variable.default or '(unset)'}\n  {'':{width}}    {variable.kind.allowed}"
        for variable in SERVER_VARIABLES
    )
    parser = _Parser(
        prog="timer-server",
        usage="timer-server [-h] [--check | --version | COMMAND ...]",
        description="Durable countdown timers over ZeroMQ. Everything is set by environment variables or a .env file.",
        epilog=f"variables, their defaults and what is allowed:\n{settings}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--check", action="store_true", help="ask the server at TIMER_BIND for a sign of life")
    parser.add_argument("--version", action="version", version=f"timer-server {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands", prog="timer-server")
    _add_keygen(commands)
    _add_backups(commands)
    _add_init(commands)
    about = "give the logs in TIMER_STORE new ids: for once after a copy of it was put back, before a server starts"
    commands.add_parser("restored", help=about, description=f"{about[0].upper()}{about[1:]}.", epilog=_RESTORED_HELP)
    _add_upgrade(commands)
    return parser


def _add_keygen(commands: "argparse._SubParsersAction[_Parser]") -> None:
    about = "make the keys for encryption where they are missing; those that are there are kept"
    keygen = commands.add_parser("keygen", help=about, description=f"{about.capitalize()}.", epilog=_KEYGEN_HELP)
    keygen.add_argument("folder", type=Path, help="for the server's pair, and `clients` with the public keys let in")
    keygen.add_argument("--client", type=arguments.name, metavar="NAME", help="make a client's pair too, and let it in")
    keygen.add_argument(
        "--prefix", type=arguments.prefix, default="", help="bind it to timers whose id begins with this"
    )
    keygen.add_argument(
        "--rights",
        type=arguments.rights,
        metavar="RIGHTS",
        help="what it may do, such as read,take; of read, start, change, take and admin (default: all but admin)",
    )
    keygen.add_argument(
        "--max-timers",
        type=arguments.max_timers,
        metavar="N",
        help="how many timers may be pending below its prefix (default: as many as on the server)",
    )
    keygen.add_argument(
        "--role",
        choices=[SERVER_ROLE],
        default="",
        help="let it in where servers connect (TIMER_PEER_BIND), to speak for clients of its own, and nowhere else",
    )
    keygen.add_argument(
        "--hand-over",
        type=Path,
        metavar="FOLDER",
        help="where to put the client's files (default: beside the server's)",
    )


def _add_backups(commands: "argparse._SubParsersAction[_Parser]") -> None:
    about = "make a backup of the store, which is a file, while a server has it open"
    made = commands.add_parser("backup", help=about, description=f"{about.capitalize()}.", epilog=_BACKUP_HELP)
    about = "read all of a backup, and say whether it is whole"
    checked = commands.add_parser("check", help=about, description=f"{about.capitalize()}.")
    about = "make a store of a backup, before a server starts on it"
    restored = commands.add_parser("restore", help=about, description=f"{about.capitalize()}.", epilog=_RESTORE_HELP)
    for command in (made, checked, restored):
        command.add_argument("file", type=Path, metavar="FILE", help="the backup")
    restored.add_argument(
        "--to", type=arguments.store_path, metavar="STORE", required=True, help="where the store is to be"
    )


def _add_init(commands: "argparse._SubParsersAction[_Parser]") -> None:
    about = "make the store in the PostgreSQL database that TIMER_STORE names, before its first server starts"
    init = commands.add_parser("init", help=about, description=f"{about.capitalize()}.", epilog=_INIT_HELP)
    init.add_argument(
        "--shards",
        type=arguments.shards,
        default=SHARDS,
        metavar="N",
        help=f"logs that servers share out (default: {SHARDS})",
    )
    init.add_argument(
        "--lease",
        type=arguments.lease_ms,
        default=LEASE_MS,
        metavar="SECONDS",
        help=f"silence after which a server's shards go to others (default: {LEASE_MS / 1000:g})",
    )


def _add_upgrade(commands: "argparse._SubParsersAction[_Parser]") -> None:
    about = "have entries in the PostgreSQL database written in this release's format: once all servers run it"
    upgrade = commands.add_parser(
        "upgrade", help=about, description=f"{about[0].upper()}{about[1:]}.", epilog=_UPGRADE_HELP
    )
    upgrade.add_argument("--dry-run", action="store_true", help="only tell which servers there are and what they read")


class _Parser(argparse.ArgumentParser):
    def _print_message(self, message: str, file: object = None) -> None:
        """Prints help, version or what is wrong. Argparse itself takes no notice where that cannot be written."""
        if file is sys.stdout:
            standard_streams.write(message)
        else:
            standard_streams.complain(message.rstrip("\n"))


def _complain(sentence: str, exit_code: int, complain: Callable[[str], None] = standard_streams.complain) -> int:
    complain(f"timer-server: {sentence}")
    return exit_code
