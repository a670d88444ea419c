"""FRR's vty unix sockets, which vtysh speaks as well. Blocks; belongs to a driver's own thread.

A line ends in a zero; the answer is text, three zeros, and a status octet.
"""

import socket
from collections.abc import Iterable
from pathlib import Path

from netwright.reasons import reason

TIMEOUT_S = 5.0
_RECEIVE = 1 << 16
_END = b"\0\0\0"


class VtyError(OSError):
    """A daemon refused a line; the text names daemon, line and what it said."""


class Vty:
    """One connection to one daemon. Raises OSError when it does not answer within 5 s."""

    def __init__(self, directory: Path, daemon: str) -> None:
        self._daemon = daemon
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(TIMEOUT_S)
        try:
            self._socket.connect(str(directory / f"{daemon}.vty"))
            self.ask("enable")
        except OSError as error:
            self._socket.close()
            raise OSError(error.errno, f"{daemon} does not answer: {reason(error)}") from error

    def close(self) -> None:
        self._socket.close()

    def ask(self, line: str) -> str:
        """Raises VtyError when the daemon refuses it."""
        text, status = self._say(line)
        if status:
            raise VtyError(f"{self._daemon} refused `{line}`: {text.strip() or f'status {status}'}")
        return text

    def configure(self, lines: Iterable[str]) -> None:
        """From the top of the configuration; stops at the first line that is refused."""
        self.ask("configure terminal")
        try:
            for line in lines:
                self.ask(line)
        finally:
            self._say("end")

    def _say(self, line: str) -> tuple[str, int]:
        self._socket.sendall(line.encode() + b"\0")
        answer = bytearray()
        while answer[-4:-1] != _END:
            received = self._socket.recv(_RECEIVE)
            if not received:
                msg = f"{self._daemon} hung up at `{line}`"
                raise ConnectionResetError(msg)
            answer += received
        return answer[:-4].decode(errors="replace"), answer[-1]
