"""What is asked in the end of a campaign is asked again where connections were cut meanwhile."""

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import zmq

from campaigns.asker import Asker

LIMIT_MS = 5_000
RETRYABLE = {"error": {"code": -32005, "message": "Shutting down", "data": {"retryable": True}}}
REFUSED = {"error": {"code": -32602, "message": "Invalid params", "data": {"retryable": False}}}


def answers(*bodies: dict[str, Any] | None) -> tuple[str, Any]:
    """A server that gives these answers, None for silence; and the thread in which it does."""
    context = zmq.Context.instance()
    router = context.socket(zmq.ROUTER)
    port = router.bind_to_random_port("tcp://127.0.0.1")

    def serve() -> None:
        with router:
            router.linger = LIMIT_MS
            for body in bodies:
                assert router.poll(LIMIT_MS)
                *envelope, asked = router.recv_multipart()
                if body is not None:
                    told = {"jsonrpc": "2.0", "id": json.loads(asked)["id"], **body}
                    router.send_multipart([*envelope, json.dumps(told).encode()])

    return f"tcp://127.0.0.1:{port}", serve


def test_silence_and_what_is_to_be_tried_again_are_asked_again() -> None:
    endpoint, serve = answers(None, RETRYABLE, {"result": 7})
    with ThreadPoolExecutor(1) as thread:
        serving = thread.submit(serve)
        assert Asker(endpoint, reply_limit_ms=200).result("server.info") == 7
        serving.result()


@pytest.mark.parametrize(("body", "what"), [(REFUSED, "Invalid params"), (None, "was not answered within 0.3 s")])
def test_an_error_and_a_server_that_stays_silent_are_findings(body: dict[str, Any] | None, what: str) -> None:
    endpoint, serve = answers(body)
    with ThreadPoolExecutor(1) as thread:
        serving = thread.submit(serve)
        with pytest.raises(AssertionError, match=what):
            Asker(endpoint, reply_limit_ms=400, patience_s=0.3).result("server.info")
        serving.result()
