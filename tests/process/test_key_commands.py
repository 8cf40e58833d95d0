"""Encryption between real processes: keys from both commands, health check, SIGHUP, and what is said at start."""

import signal
import stat
from pathlib import Path

from client.command import run
from drivers.server_process import ServerProcess
from process.test_command import timer_server


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_from_keys_to_a_timer_that_fires(tmp_path: Path) -> None:
    assert timer_server("keygen", "keys", folder=tmp_path).returncode == 0
    made = run(tmp_path, "keygen", "shop", "--folder", "mine")
    assert made.returncode == 0, made.stderr
    assert (mode(tmp_path / "keys/server.key_secret"), mode(tmp_path / "mine/shop.key_secret")) == (0o600, 0o600)
    (tmp_path / "mine/server.key").write_text((tmp_path / "keys/server.key").read_text())
    mine = {"TIMER_CURVE_CLIENT_SECRET": "mine/shop.key_secret"}
    secret = {"TIMER_CURVE_SERVER_SECRET": str(tmp_path / "keys/server.key_secret")}
    with ServerProcess(tmp_path, secret) as server:
        denied = run(tmp_path, "info", server=server, **mine)
        assert denied.returncode == 1
        assert denied.stderr.endswith(  # before it, where the connection is lost before ZeroMQ hears the reason, a wait
            "timer: the server does not know this client's key. The server's operator has a folder of allowed keys.\n"
        )
        (tmp_path / "keys/clients/shop.key").write_text((tmp_path / "mine/shop.key").read_text())
        server.signal(signal.SIGHUP)
        assert server.wait_for_log("keys read")["clients"] == 1
        rang = run(tmp_path, "start", "0", "0", "1", server=server, **mine)
        assert (rang.returncode, "has fired" in rang.stdout) == (0, True)
        below = run(tmp_path, "start", "1h", "--detach", server=server, TIMER_ID_PREFIX="shop/", **mine)
        assert (below.returncode, "shop/" in below.stdout) == (0, True)
        assert timer_server("--check", folder=tmp_path, TIMER_BIND=server.commands, **secret).returncode == 0
        assert timer_server("--check", folder=tmp_path, TIMER_BIND=server.commands).returncode == 1
        assert server.terminate() == 0


def test_keys_that_are_there_are_kept(tmp_path: Path) -> None:
    for word in ("made", "kept"):
        done = timer_server("keygen", "keys", "--client", "shop", "--prefix", "shop/", folder=tmp_path)
        assert done.returncode == 0
        assert [line.split()[0] for line in done.stdout.splitlines()] == [word] * 4
    other = timer_server("keygen", "keys", "--client", "shop", "--prefix", "bank/", folder=tmp_path)
    assert other.returncode == 1
    assert "shop.key is there already, with another key, prefix, rights, max_timers or role" in other.stderr
    again = run(tmp_path, "keygen", "server", "--folder", "keys")
    assert again.returncode == 2
    again = run(tmp_path, "keygen", "shop", "--folder", "keys")
    assert again.returncode == 2
    assert "shop.key_secret is there already; keys are never overwritten" in again.stderr


def test_rights_stand_in_the_public_file_that_either_command_makes(tmp_path: Path) -> None:
    made = timer_server("keygen", "keys", "--client", "worker", "--rights", "take, read", folder=tmp_path)
    assert made.returncode == 0, made.stderr
    assert run(tmp_path, "keygen", "operator", "--rights", "admin", "--folder", "mine").returncode == 0
    for path, line in (("keys/clients/worker.key", 'rights = "read,take"'), ("mine/operator.key", 'rights = "admin"')):
        assert f"\n    {line}\n" in (tmp_path / path).read_text()
    for refused in (
        timer_server("keygen", "keys", "--client", "x", "--rights", "read,write", folder=tmp_path),
        run(tmp_path, "keygen", "x", "--rights", "read,write"),
    ):
        assert refused.returncode == 2
        said = " ".join(refused.stderr.split())
        assert "'write' is no right; rights are read, start, change, take, admin, with commas in between" in said
    assert timer_server("keygen", "keys", "--rights", "read", folder=tmp_path).returncode == 2


def test_share_of_a_prefix_stands_in_the_public_file(tmp_path: Path) -> None:
    bound = ["keygen", "keys", "--client", "shop", "--prefix", "shop/"]
    assert timer_server(*bound, "--max-timers", "50", folder=tmp_path).returncode == 0
    assert '\n    max_timers = "50"\n' in (tmp_path / "keys/clients/shop.key").read_text()
    for arguments, fault in (
        ([*bound, "--max-timers", "0"], "but must be a whole number of timers from 1 to 100000000"),
        (["keygen", "keys", "--client", "x", "--max-timers", "5"], "below the prefix of a key, so it needs one"),
        (["keygen", "keys", "--max-timers", "5"], "name it with --client"),
    ):
        refused = timer_server(*arguments, folder=tmp_path)
        assert (refused.returncode, fault in " ".join(refused.stderr.split())) == (2, True)


def test_names_and_prefixes_that_cannot_be_are_refused(tmp_path: Path) -> None:
    for arguments in (["--client", "server"], ["--client", "../x"], ["--client", "x", "--prefix", "a b"]):
        refused = timer_server("keygen", "keys", *arguments, folder=tmp_path)
        assert refused.returncode == 2
        assert repr(arguments[-1]) in refused.stderr
    assert run(tmp_path, "keygen", "../x").returncode == 2
    assert timer_server("keygen", "keys", "--prefix", "shop/", folder=tmp_path).returncode == 2


def test_a_key_file_that_cannot_be_used_is_a_sentence_and_exit_2(tmp_path: Path) -> None:
    refused = timer_server(folder=tmp_path, TIMER_STORE="memory:", TIMER_CURVE_SERVER_SECRET="nowhere.key_secret")
    assert refused.returncode == 2
    assert "cannot read the key file nowhere.key_secret: No such file or directory" in refused.stderr
    assert "TIMER_CURVE_SERVER_SECRET" in refused.stderr
    client = run(tmp_path, "info", TIMER_CURVE_CLIENT_SECRET="nowhere.key_secret")
    assert client.returncode == 2
    assert "TIMER_CURVE_CLIENT_SECRET: cannot read the key file nowhere.key_secret" in client.stderr


def test_a_secret_that_others_may_read_is_warned_of(tmp_path: Path) -> None:
    timer_server("keygen", "keys", folder=tmp_path)
    secret = tmp_path / "keys/server.key_secret"
    for allowed, warnings in ((0o600, 0), (0o644, 1)):
        secret.chmod(allowed)
        with ServerProcess(tmp_path, {"TIMER_CURVE_SERVER_SECRET": str(secret)}) as server:
            server.terminate()
        assert [line["event"] for line in server.lines].count("others may read the secret key") == warnings


def test_a_server_beyond_this_machine_without_encryption_warns_once(tmp_path: Path) -> None:
    with ServerProcess(tmp_path, {"TIMER_BIND": "tcp://0.0.0.0:0"}) as server:
        server.terminate()
    warnings = [line for line in server.lines if line["level"] == "warning"]
    assert [line["event"].partition(":")[0] for line in warnings] == ["bound beyond this machine without encryption"]


def test_sighup_without_encryption_ends_nothing(server_process: ServerProcess) -> None:
    server_process.signal(signal.SIGHUP)
    server_process.wait_for_log("nothing to reload: encryption is off")
    assert server_process.terminate() == 0
