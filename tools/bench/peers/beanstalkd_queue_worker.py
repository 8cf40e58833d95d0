"""Reserves jobs of beanstalkd and deletes them. Arguments: a port, and how many commands are sent in one piece."""

import socket
import sys

from bench.sharing import work

RESERVE, RESERVED, DELETED = b"reserve-with-timeout 0\r\n", b"RESERVED", b"DELETED\r\n"


def main() -> None:
    port, together = map(int, sys.argv[1:])
    with socket.create_connection(("127.0.0.1", port)) as tcp, tcp.makefile("rb") as replies:
        tcp.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

        def take_and_acknowledge() -> int:
            tcp.sendall(RESERVE * together)
            jobs = []
            for _ in range(together):
                word, *rest = replies.readline().split()
                if word == RESERVED:
                    jobs.append(rest[0])
                    replies.read(int(rest[1]) + 2)
            tcp.sendall(b"".join(b"delete %b\r\n" % job for job in jobs))
            assert all(replies.readline() == DELETED for _ in jobs)
            return len(jobs)

        work(take_and_acknowledge)


if __name__ == "__main__":
    main()
