"""What a person does first: ask for a timer in a container, and see it run to its end."""

import json
import re
import secrets
from collections.abc import Iterator

import pytest

from drivers.runs import new_project
from drivers.stack import Stack, inspect

ESC = "\x1b"
BELL = "\x07"


def new_id() -> str:
    return f"test/{secrets.token_hex(4)}"


@pytest.fixture(scope="module")
def stack(tag: str) -> Iterator[Stack]:
    project = Stack(new_project(), tag)
    try:
        yield project
    finally:
        project.close()


@pytest.fixture(scope="module", autouse=True)
def first_answer(stack: Stack) -> str:
    """What the client prints for three answers from a pipe. Nothing runs yet: this starts the server as well."""
    return stack.compose("run", "--rm", "-T", "client", input="0\n0\n3\n").stdout


def test_three_answers_from_a_pipe_give_plain_lines(first_answer: str) -> None:
    lines = first_answer.splitlines()
    reply = next(index for index, line in enumerate(lines) if "0 hours, 0 minutes, 3 seconds" in line)
    assert any("to go" in line for line in lines[reply + 1 : -1])
    assert "has fired" in lines[-1]
    assert ESC not in first_answer
    assert BELL not in first_answer


def test_the_server_that_was_started_is_healthy_and_within_its_network(stack: Stack) -> None:
    server = inspect(stack.container("server"))
    assert server["State"]["Health"]["Status"] == "healthy"
    assert server["HostConfig"]["RestartPolicy"]["Name"] == "unless-stopped"
    assert server["HostConfig"]["PortBindings"] in (None, {})


def test_three_answers_on_a_terminal_give_a_bar_and_the_bell(stack: Stack) -> None:
    client = stack.run_client(terminal=True)
    for question, answer in (("hours", "0"), ("minutes", "0"), ("seconds", "3")):
        client.expect(question)
        client.send(f"{answer}\n")
    client.expect("Server: 0 hours, 0 minutes, 3 seconds")
    client.expect("━━━.*0:00:0[0-3]")
    client.expect(f"has fired[^{BELL}]*{BELL}")
    assert client.wait() == 0


def test_ctrl_c_leaves_the_timer_running(stack: Stack) -> None:
    timer_id = new_id()
    client = stack.run_client("start", "1h", "--id", timer_id, terminal=True)
    client.expect("━━━")
    client.send("\x03")
    client.expect(f"watch {timer_id}")
    assert client.wait() == 130
    assert stack.timer_json("get", timer_id)["state"] == "running"


def test_a_timer_given_by_arguments(stack: Stack) -> None:
    assert "has fired" in stack.timer("start", "0", "0", "1").stdout.splitlines()[-1]


def test_detached_listed_watched_and_cancelled(stack: Stack) -> None:
    timer_id = new_id()
    stack.timer("start", "0", "0", "30", "--detach", "--id", timer_id)
    listed = stack.timer("list").stdout.splitlines()
    assert [line.split("\t")[1] for line in listed if line.startswith(f"{timer_id}\t")] == ["running"]

    watching = stack.start_timer("watch", timer_id)
    watching.expect("is running")
    stack.timer("cancel", timer_id)
    watching.expect("was cancelled")
    assert watching.wait() == 3


def test_no_library_of_ours_is_needed(stack: Stack) -> None:
    talk = """
import json, zmq
socket = zmq.Context().socket(zmq.REQ)
socket.connect("tcp://server:8888")
socket.send_json({"jsonrpc": "2.0", "method": "timer.start", "id": 1, "params": {"seconds": 0.1}})
print(json.dumps(socket.recv_json()))
socket.send_multipart([b"0", b"0", b"7.25"])
print(json.dumps([frame.decode() for frame in socket.recv_multipart()]))
socket.close()
"""
    spoken = stack.start_python(talk).expect(r"(\{.*\})\s+(\[.*\])\s")
    reply, echo = map(json.loads, spoken.groups())
    assert reply["id"] == 1
    assert reply["result"]["state"] == "running"
    assert echo == ["0", "0", "7.25"]
    said = re.findall(r"From client: ([\d.]+)", stack.follow_log().expect(r"From client: 7.25").string)
    assert said == ["0", "0", "7.25"]
