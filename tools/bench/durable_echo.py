"""A raw echo that writes first: what it receives at once is appended to a file and fsynced, and then sent back.

No protocol and no engine: what any durable answer from Python over pyzmq can come to. Takes the file; prints its
endpoint, ends with its input.
"""

import os
import sys

from bench.echo import Router, serve
from timer_server.wire.multipart import is_readable, receive_from_router, send


def main() -> None:
    descriptor = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def write_and_send_back(router: Router) -> None:
        messages = []
        while is_readable(router):
            messages.append(receive_from_router(router))
        os.write(descriptor, b"".join([frames[-1] for frames in messages]))
        os.fdatasync(descriptor)
        for frames in messages:
            send(router, frames)

    serve(write_and_send_back)


if __name__ == "__main__":
    main()
