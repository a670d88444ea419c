"""A double of the agent's end of the CNI socket: says what it is told to say, byte by byte."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

BROKEN_OFF = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"
FOREIGN = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"
SILENCE = b""


def answer(status: int, body: Any = None) -> bytes:
    content = b"" if body is None else msgspec.json.encode(body)
    length = b"" if body is None else b"Content-Length: %d\r\n" % len(content)
    return b"HTTP/1.1 %d x\r\n%sConnection: close\r\n\r\n%s" % (status, length, content)


class CniAgent:
    """`requests` holds heads and bodies as they came; `says` is what each is answered."""

    def __init__(self, path: Path, says: bytes) -> None:
        self.path = path
        self.says = says
        self.requests: list[tuple[bytes, dict[str, Any]]] = []
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(str(path))
        self._socket.listen()
        self._silent: list[socket.socket] = []

    def serve(self) -> None:
        """Until `close`."""
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            self._take(connection)
            if self.says == SILENCE:
                self._silent.append(connection)
                continue
            half = len(self.says) // 2  # in two parts: a reader must not take the first for all
            connection.sendall(self.says[:half])
            connection.sendall(self.says[half:])
            connection.close()

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        for connection in (self._socket, *self._silent):
            connection.close()

    def _take(self, connection: socket.socket) -> None:
        held = b""
        while b"\r\n\r\n" not in held:
            held += connection.recv(65536)
        head, _, body = held.partition(b"\r\n\r\n")
        lines = head.split(b"\r\n")
        (length,) = (int(line[15:]) for line in lines if line.startswith(b"Content-Length:"))
        while len(body) < length:
            body += connection.recv(65536)
        self.requests.append((head, msgspec.json.decode(body)))


@contextmanager
def cni_agent(path: Path, says: bytes) -> Iterator[CniAgent]:
    path.unlink(missing_ok=True)
    agent = CniAgent(path, says)
    thread = threading.Thread(target=agent.serve, name="cni agent")
    thread.start()
    try:
        yield agent
    finally:
        agent.close()
        thread.join(10)
