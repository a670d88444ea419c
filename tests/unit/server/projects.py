"""Clients of several projects, at an edge with its core."""

from typing import Any

from tests.doubles.http import Client

from netwright.server.api.app import application
from netwright.server.api.edge import Edge
from netwright.server.auth import TokenAuthenticator
from netwright.server.commands import Caller
from netwright.server.core import Core
from netwright.server.metrics import Metrics


class ByName(TokenAuthenticator):
    """A double that knows projects: the token is the project's name, `admin` is the admin."""

    def __init__(self) -> None:
        super().__init__("admin", b"x")

    def caller(self, headers: Any) -> Caller:
        name = headers[b"x-auth-token"].decode()
        return Caller(project_id=name, is_admin=name == "admin")


def client_of(core: Core, project: str) -> Client:
    edge = Edge(core, ByName(), Metrics(), body_bytes_max=1 << 20)
    return Client(application(edge), {"x-auth-token": project})
