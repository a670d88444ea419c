"""The edge in front of a double of the service."""

import pytest
from tests.doubles.http import Client
from tests.doubles.service import ServiceDouble

from netwright.server.api.app import application
from netwright.server.api.edge import Edge
from netwright.server.auth import Authenticator, TokenAuthenticator
from netwright.server.commands import Caller
from netwright.server.metrics import Metrics

BODY_BYTES_MAX = 1 << 20


class ProjectOf(TokenAuthenticator):
    """A double of an authenticator that knows projects: the token is the project's id."""

    def caller(self, headers: object) -> Caller:
        token = headers[b"x-auth-token"]  # type: ignore[index]
        return Caller(project_id=token.decode())


def client_of(service: ServiceDouble, authenticator: Authenticator) -> Client:
    edge = Edge(service, authenticator, Metrics(), body_bytes_max=BODY_BYTES_MAX)
    return Client(application(edge))


@pytest.fixture
def service() -> ServiceDouble:
    return ServiceDouble()


@pytest.fixture
def authenticator() -> TokenAuthenticator:
    return TokenAuthenticator("secret", b"agents")


@pytest.fixture
def client(service: ServiceDouble, authenticator: TokenAuthenticator) -> Client:
    """An administrator."""
    admin = client_of(service, authenticator)
    admin.headers["x-auth-token"] = "secret"
    return admin


@pytest.fixture
def agent(service: ServiceDouble, authenticator: TokenAuthenticator) -> Client:
    """The agent of host h1."""
    one = client_of(service, authenticator)
    one.headers["x-auth-token"] = authenticator.host_credential("h1")
    return one


@pytest.fixture
def member(service: ServiceDouble) -> Client:
    """A project without any right of an administrator."""
    one = client_of(service, ProjectOf("x", b"x"))
    one.headers["x-auth-token"] = "demo"
    return one
