"""The listening socket: made by the process that was started, inherited by its workers."""

import socket
from typing import NamedTuple, Self

from netwright.model.settings import InvalidConfiguration
from netwright.reasons import reason
from netwright.server.config import ServerSettings

SERVING = b"+"  # a worker says it to its supervisor, once
_BACKLOG = 2048


class Inherited(NamedTuple):
    """What a worker has from its supervisor: the listening socket, and one between the two.

    On the latter the worker says once that it serves; its end of file tells the worker that the
    supervisor is gone.
    """

    listener: socket.socket
    supervisor: socket.socket

    @classmethod
    def of(cls, descriptors: str) -> Self:
        """From `LISTENER,SUPERVISOR`, as `described` writes it; raises InvalidConfiguration."""
        try:
            listener, supervisor = map(int, descriptors.split(","))
            return cls(socket.socket(fileno=listener), socket.socket(fileno=supervisor))
        except (ValueError, OSError) as error:
            raise InvalidConfiguration(
                f"--inherited is {descriptors!r}, which are no sockets: {error}.",
                next="Leave it out: it is how `--workers` starts its processes.",
            ) from error

    @property
    def descriptors(self) -> tuple[int, int]:
        return self.listener.fileno(), self.supervisor.fileno()

    def described(self) -> str:
        return ",".join(map(str, self.descriptors))


def listen(settings: ServerSettings) -> socket.socket:
    """A socket that listens where the settings say; raises InvalidConfiguration."""
    try:
        return socket.create_server(
            (settings.host, settings.port),
            family=socket.AF_INET6 if ":" in settings.host else socket.AF_INET,
            backlog=_BACKLOG,
        )
    except (OSError, OverflowError) as error:
        raise InvalidConfiguration(
            f"The server cannot listen on {settings.listen}: {reason(error).rstrip('.')}.",
            next="Name another address by --listen, or stop what listens there.",
        ) from error


def address(listener: socket.socket) -> str:
    """HOST:PORT, where it listens in fact."""
    host, port = listener.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
