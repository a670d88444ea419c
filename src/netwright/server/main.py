"""The server process: wires the service to its edge and runs it until it is told to stop."""

from netwright.server.config import ServerSettings


def run(settings: ServerSettings) -> None:
    """Serve until SIGTERM or SIGINT."""
    raise NotImplementedError(settings.listen)
