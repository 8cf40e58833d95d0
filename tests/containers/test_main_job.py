"""What a person does first: ask for a timer in a container, and see it run to its end."""

import json
import re
import secrets

from drivers.stack import Stack

ESC = "\x1b"
BELL = "\x07"


def new_id() -> str:
    return f"test/{secrets.token_hex(4)}"


def test_three_answers_from_a_pipe_give_plain_lines(stack: Stack) -> None:
    done = stack.timer(input="0\n0\n3\n")  # nothing runs yet: this starts the server as well
    lines = done.stdout.splitlines()
    reply = next(index for index, line in enumerate(lines) if "0 hours, 0 minutes, 3 seconds" in line)
    assert any("to go" in line for line in lines[reply + 1 : -1])
    assert "has fired" in lines[-1]
    assert ESC not in done.stdout
    assert BELL not in done.stdout


def test_three_answers_on_a_terminal_give_a_bar_and_the_bell(shared: Stack) -> None:
    client = shared.start_timer(terminal=True)
    for question, answer in (("hours", "0"), ("minutes", "0"), ("seconds", "3")):
        client.expect(question)
        client.send(f"{answer}\n")
    client.expect("Server: 0 hours, 0 minutes, 3 seconds")
    client.expect("━━━.*0:00:0[0-3]")
    client.expect(f"has fired[^{BELL}]*{BELL}")
    assert client.wait() == 0


def test_ctrl_c_leaves_the_timer_running(shared: Stack) -> None:
    timer_id = new_id()
    client = shared.start_timer("start", "1h", "--id", timer_id, terminal=True)
    client.expect("━━━")
    client.send("\x03")
    client.expect(f"watch {timer_id}")
    assert client.wait() == 130
    assert shared.timer_json("get", timer_id)["state"] == "running"


def test_a_timer_given_by_arguments(shared: Stack) -> None:
    assert "has fired" in shared.timer("start", "0", "0", "1").stdout.splitlines()[-1]


def test_detached_listed_watched_and_cancelled(shared: Stack) -> None:
    timer_id = new_id()
    shared.timer("start", "0", "0", "30", "--detach", "--id", timer_id)
    listed = shared.timer("list").stdout.splitlines()
    assert [line.split("\t")[1] for line in listed if line.startswith(f"{timer_id}\t")] == ["running"]

    watching = shared.start_timer("watch", timer_id)
    watching.expect("is running")
    shared.timer("cancel", timer_id)
    watching.expect("was cancelled")
    assert watching.wait() == 3


def test_no_library_of_ours_is_needed(shared: Stack) -> None:
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
    spoken = shared.compose("run", "--rm", "-T", "--entrypoint", "python", "client", "-c", talk)
    reply, echo = map(json.loads, spoken.stdout.splitlines())
    assert reply["id"] == 1
    assert reply["result"]["state"] == "running"
    assert echo == ["0", "0", "7.25"]
    said = re.findall(r"From client: ([\d.]+)", shared.follow_log().expect(r"From client: 7.25").string)
    assert said == ["0", "0", "7.25"]
