"""Where settings come from: the environment, and below it a `.env` file."""

import os
from pathlib import Path

import pytest

from drivers.restrictions import nobody
from timer_protocol.environment import OF_AN_END, read_environment, told_unknown
from timer_protocol.settings import SERVER_VARIABLES, SettingError, told_place


def test_real_variables_win_over_the_file_unless_they_are_empty(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text('# for a trial\nA=file\nB="file"\nC=file\nD=\nE\nF=" "\n')

    assert read_environment(tmp_path, {"A": "real", "B": "", "C": " ", "G": "real", "H": ""}) == {
        "A": "real",
        "B": "file",
        "C": "file",
        "G": "real",
    }


def test_the_real_environment_is_the_default_and_is_not_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIMER_MAX_BATCH", "7")
    monkeypatch.delenv("TIMER_MAX_TIMERS", raising=False)
    (tmp_path / ".env").write_text("TIMER_MAX_BATCH=5\nTIMER_MAX_TIMERS=6\n")

    texts = read_environment(tmp_path)

    assert (texts["TIMER_MAX_BATCH"], texts["TIMER_MAX_TIMERS"]) == ("7", "6")
    assert "TIMER_MAX_TIMERS" not in os.environ


def test_the_file_need_not_be_there(tmp_path: Path) -> None:
    assert read_environment(tmp_path, {}) == {}


def test_a_folder_of_that_name_is_no_file(tmp_path: Path) -> None:
    (tmp_path / ".env").mkdir()

    assert read_environment(tmp_path, {"A": "real"}) == {"A": "real"}


def test_a_mark_of_the_byte_order_is_no_part_of_a_name(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"\xef\xbb\xbfA=1\r\nB=2\r\n")

    assert read_environment(tmp_path, {}) == {"A": "1", "B": "2"}


@pytest.mark.parametrize(
    ("stored", "line"),
    [
        (b"TIMER_BIND=\xff\xfe\n", 1),
        (b"A=1\n# \xff\n", 2),
        (b"\xff\xfeA\0=\0001\0", 1),
        (b"A=1\n\n\nTIMER_RETENTION_S 5\nB=2\n", 4),
        (b"A=1\r\nTIMER_RETENTION_S: 5", 2),
        (b"TIMER_RETENTION_S:5", 1),
        (b"A=1\nB='open\nC=3\n", 2),
        (b'A="1" 2\n', 1),
        (b"= 5\n", 1),
    ],
)
def test_a_line_that_cannot_be_read_is_named(tmp_path: Path, stored: bytes, line: int) -> None:
    (tmp_path / ".env").write_bytes(stored)

    with pytest.raises(SettingError) as refused:
        read_environment(tmp_path, {})

    assert str(refused.value).startswith(f"{tmp_path}/.env, line {line}, cannot be read: ")


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / ".env").symlink_to("nowhere")

    with pytest.raises(SettingError, match=r"\.env cannot be read: No such file"):
        read_environment(tmp_path, {})


def test_a_working_directory_that_is_out_of_reach_has_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".env").write_text("A=file\n")
    monkeypatch.chdir(tmp_path)
    tmp_path.chmod(0)
    try:
        with nobody():
            assert read_environment(environment={"A": "real"}) == {"A": "real"}
    finally:
        tmp_path.chmod(0o700)


def test_a_working_directory_that_is_gone_has_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()

    assert read_environment(environment={"A": "real"}) == {"A": "real"}


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("TIMER_SEVER", "did you mean TIMER_SERVER?"),
        ("TIMER_MAX_TIMER", "did you mean TIMER_MAX_TIMERS?"),
        ("TIMER_LOGLEVEL", "did you mean TIMER_LOG_LEVEL?"),
        ("TIMER_PORT", "--help lists the settings"),
    ],
)
def test_an_unknown_setting_is_told_with_the_nearest_one(name: str, hint: str) -> None:
    assert told_unknown({name: "1", "PATH": "/bin"}) == [f"{name} is no setting and has no effect; {hint}"]


@pytest.mark.parametrize("name", ["timer_store", "Timer_Store"])
def test_a_setting_in_small_letters_is_told(name: str, tmp_path: Path) -> None:
    told = [f"{name} is no setting and has no effect; did you mean TIMER_STORE?"]
    (tmp_path / ".env").write_text(f"{name}=memory:\n")

    assert told_unknown({name: "memory:", "timer_of_mine": "1"}) == told
    assert told_unknown(read_environment(tmp_path, {})) == told


def test_a_wrong_value_is_told_with_where_it_is_set(tmp_path: Path) -> None:
    name, variable = "TIMER_RETENTION_S", next(one for one in SERVER_VARIABLES if one.name == "TIMER_RETENTION_S")
    (tmp_path / ".env").write_text(f"# of an earlier trial\n{name}=5\n\n\nexport {name}='a\nday'\nTIMER_STORE=x\n")

    for environment, place in (
        ({}, f"{tmp_path}/.env, line 5"),
        ({name: " "}, f"{tmp_path}/.env, line 5"),
        ({name: "a day"}, "the environment"),
    ):
        with pytest.raises(SettingError, match=f"^{name} is 'a.*day', but must be .*; it is set in {place}$"):
            variable.read(read_environment(tmp_path, environment))


def test_a_default_is_set_nowhere(tmp_path: Path) -> None:
    texts = read_environment(tmp_path, {"TIMER_STORE": "memory:"})

    assert (told_place(texts, "TIMER_STORE"), told_place(texts, "TIMER_BIND")) == ("; it is set in the environment", "")
    assert told_place(dict(texts), "TIMER_STORE") == ""


def test_settings_of_either_program_and_of_scripts_are_known() -> None:
    known = ["TIMER_BIND", "TIMER_SERVER", "TIMER_COMMAND", "TIMER_BIN", "PUBLISH_COMMANDS", "_TIMER_COMPLETE"]

    assert told_unknown(dict.fromkeys(known, "x")) == []


def test_what_a_command_at_an_end_is_told_is_no_setting_and_is_never_offered_as_one() -> None:
    assert told_unknown(dict.fromkeys(OF_AN_END, "x")) == []
    assert "did you mean" not in told_unknown({"TIMER_STATES": "x"})[0]


def test_what_kubernetes_tells_of_a_service_is_known() -> None:
    of_services = {
        "TIMER_SERVER_SERVICE_HOST": "10.0.0.1",
        "TIMER_SERVER_SERVICE_PORT": "8888",
        "TIMER_SERVER_SERVICE_PORT_COMMANDS": "8888",
        "TIMER_SERVER_PORT": "tcp://10.0.0.1:8888",
        "TIMER_SERVER_PORT_8888_TCP_ADDR": "10.0.0.1",
    }

    assert told_unknown(of_services) == []
    assert len(told_unknown({**of_services, "TIMER_PORT": "8888"})) == 1
