"""The hostile campaign finds a server that does not bear what peers send."""

from pathlib import Path
from random import Random

import pytest

from campaigns.campaign import Report
from campaigns.hostile import survive
from campaigns.hostile_bytes import http
from campaigns.hostile_messages import broken_json, ids_that_differ_only_in_case
from campaigns.target import faults_in_log
from drivers import peers
from drivers.server_process import SERVICES, ServerProcess

FAULT = """
from timer_server.requests.dispatch import Dispatcher

handle = Dispatcher.handle

def fail(self, message, now_ns):
    if any(b"case/Tea" in frame for frame in message.frames):
        {fault}
    return handle(self, message, now_ns)

Dispatcher.handle = fail
"""


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("fault", "found"),
    [
        ("raise ZeroDivisionError", "Traceback"),
        ("return None", "ids_that_differ_only_in_case"),
    ],
    ids=["raises", "is silent"],
)
def test_a_server_with_a_fault_is_found_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str, found: str
) -> None:
    monkeypatch.setattr(peers, "REPLY_LIMIT_MS", 3_000)
    (tmp_path / "sitecustomize.py").write_text(FAULT.format(fault=fault))
    report = Report()
    with ServerProcess(tmp_path, {"PYTHONPATH": f"{tmp_path}:{SERVICES}"}) as server:
        attacks = [http, ids_that_differ_only_in_case, broken_json]
        survive(server, attacks, Random(1), report)  # noqa: S311 - attacks, not secrets
        report.violations += faults_in_log(server)

    assert any(found in violation for violation in report.violations)
