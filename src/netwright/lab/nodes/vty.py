"""Ask a daemon of FRR by its own socket: no vtysh, so less than a millisecond.

A command ends with a zero octet; the answer with three and a status.
"""

import socket
from pathlib import Path

from netwright.lab.errors import LabError

_TIMEOUT_S = 5.0
_OK = 0


def ask(path: Path, *commands: str) -> str:
    """The last command's answer. Raises LabError when the daemon refuses one or is not there."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(_TIMEOUT_S)
            connection.connect(str(path))
            for command in commands:
                answer = _exchange(connection, command, path)
    except OSError as error:
        msg = f"lab: the daemon at {path} does not answer: {error}"
        raise LabError(msg) from error
    return answer


def _exchange(connection: socket.socket, command: str, path: Path) -> str:
    connection.sendall(command.encode() + b"\0")
    heard = b""
    while heard[-4:-1] != b"\0\0\0":
        part = connection.recv(65536)
        if not part:
            msg = f"lab: the daemon at {path} hung up on {command!r}"
            raise LabError(msg)
        heard += part
    text, status = heard[:-4].decode(errors="replace"), heard[-1]
    if status != _OK:
        msg = f"lab: the daemon at {path} refused {command!r} ({status}): {text.strip()}"
        raise LabError(msg)
    return text
