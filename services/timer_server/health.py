"""The health check: one request to a server, for a container's HEALTHCHECK."""

import re

import msgspec
import zmq

from timer_protocol.key_pairs import KeyFileError
from timer_server.access.keys import CurveFiles, read_pair

_REQUEST = b'{"jsonrpc":"2.0","method":"server.info","id":1}'
_TIMEOUT_MS = 2_000


def check(bind: str, curve: CurveFiles | None) -> str | None:
    """None if the server that binds this endpoint answers `server.info` within two seconds, else what is wrong."""
    endpoint = re.sub(r"^tcp://(\*|0\.0\.0\.0):", "tcp://127.0.0.1:", bind).replace("tcp://[::]:", "tcp://[::1]:")
    context = zmq.Context()
    socket = context.socket(zmq.REQ)
    socket.linger = 0
    socket.ipv6 = "[" in endpoint
    try:
        if curve is not None:
            public, socket.curve_secretkey = read_pair(curve.secret)
            socket.curve_publickey = socket.curve_serverkey = public
        socket.connect(endpoint)
        socket.send(_REQUEST)
        if not socket.poll(_TIMEOUT_MS):
            return f"no answer from {endpoint} within {_TIMEOUT_MS} ms"
        reply = msgspec.json.decode(socket.recv())
        return None if "result" in reply else f"{endpoint} answered with an error: {reply['error']['message']}"
    except (zmq.ZMQError, KeyFileError) as error:
        return f"cannot ask {endpoint}: {error}"
    finally:
        socket.close()
        context.term()
