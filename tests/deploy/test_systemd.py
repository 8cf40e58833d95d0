"""The systemd units: systemd itself understands them, and finds little that an intruder could do."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from bench import control_groups
from timer_protocol.settings import CLIENT_VARIABLES, GATEWAY_VARIABLES, SERVER_VARIABLES

UNITS = sorted((Path(__file__).parents[2] / "deploy" / "systemd").glob("*.service"))
SETTINGS = {variable.name for variable in (*SERVER_VARIABLES, *CLIENT_VARIABLES, *GATEWAY_VARIABLES)}
EXPOSURE_TENTHS = 15
"""Of 100, as `systemd-analyze security` counts."""

needs_systemd = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")


def analyze(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["systemd-analyze", *words], capture_output=True, text=True, timeout=30, check=False)


@needs_systemd
def test_systemd_has_nothing_to_say_against_the_units(tmp_path: Path) -> None:
    for unit in UNITS:
        text = re.sub(r"/opt/timer-service/bin/[\w-]+", "/bin/true", unit.read_text())
        (tmp_path / unit.name).write_text(text)
    verified = analyze("verify", "--man=no", *(tmp_path / unit.name for unit in UNITS))
    assert (verified.returncode, verified.stdout + verified.stderr) == (0, "")


@needs_systemd
def test_an_intruder_finds_little(tmp_path: Path) -> None:
    judged = analyze("security", "--offline=true", f"--threshold={EXPOSURE_TENTHS}", "--no-pager", *UNITS)
    assert judged.returncode == 0, judged.stdout


def test_a_server_goes_first_where_the_processors_are_short() -> None:
    assert {unit.stem: re.findall(r"^CPUWeight=(.+)$", unit.read_text(), re.MULTILINE) for unit in UNITS} == {
        "timer-server": [str(control_groups.SERVER)],
        "timer-gateway": [str(control_groups.GATEWAY)],
        "timer-webhooks": [str(control_groups.GATEWAY)],
    }


def test_units_set_what_is_a_setting_and_keep_it_where_they_may_write() -> None:
    assert [unit.stem for unit in UNITS] == ["timer-gateway", "timer-server", "timer-webhooks"]
    for unit in UNITS:
        text = unit.read_text()
        state = "/var/lib/" + re.findall(r"^StateDirectory=(.+)$", text, re.MULTILINE)[0]
        for name, value in re.findall(r"^#?Environment=(\w+)=(.+)$", text, re.MULTILINE):
            assert name in SETTINGS, f"{unit.name}: {name}"
            assert state in value or "%d/" in value, f"{unit.name}: {value}"
        for place in re.findall(r"/var/lib/[\w-]+", text):
            assert place == state, unit.name
