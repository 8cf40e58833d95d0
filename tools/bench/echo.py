"""A ROUTER that sends every message back: what the sockets alone can do. Prints its endpoint, ends with its input."""

import sys

import zmq


def main() -> None:
    context = zmq.Context()
    router = context.socket(zmq.ROUTER)
    router.linger = 0
    port = router.bind_to_random_port("tcp://127.0.0.1")
    print(f"tcp://127.0.0.1:{port}", flush=True)
    poller = zmq.Poller()
    poller.register(router, zmq.POLLIN)
    poller.register(sys.stdin.fileno(), zmq.POLLIN)
    while True:
        ready = dict(poller.poll())
        if sys.stdin.fileno() in ready:
            break
        while True:
            try:
                router.send_multipart(router.recv_multipart(zmq.DONTWAIT))
            except zmq.Again:
                break
    context.destroy(linger=0)


if __name__ == "__main__":
    main()
