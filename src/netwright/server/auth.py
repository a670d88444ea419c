"""Who asks: turns a request's headers into a `Caller`.

    token   the admin token → admin; a host's credential → that host's agent;
            the controller's → the fabric controller
    none    everybody is admin; only on loopback or in a lab
    keystone  beside all tokens of `token`, those that keystone vouches for (`server.keystone`)

A host's credential is `agent.HOST.MAC`, an HMAC-SHA256 (RFC 2104) of the host's name, and of how
often its credential was revoked, under a secret of this server. Only that count is stored, and only
where it is not zero; a new secret revokes all. The fabric controller's is `fabric.MAC`.
"""

import hmac
import ipaddress
from collections.abc import Awaitable, Mapping
from functools import lru_cache
from typing import Protocol

from netwright.model.errors import Unauthenticated
from netwright.model.resources import DEFAULT_PROJECT
from netwright.model.settings import InvalidConfiguration
from netwright.server.commands import Caller
from netwright.server.config import AuthMode, ServerSettings

PROJECT_ID_LENGTH_MAX = 255
HOST_NAME_MAX = 253
_AGENT_PREFIX = "agent."
_CONTROLLER = "\0fabric"  # no host is called so


class Authenticator(Protocol):
    def caller(self, headers: Mapping[bytes, bytes]) -> Caller | Awaitable[Caller]:
        """Who sent these headers, at once if that is known; raises Unauthenticated.

        What is awaited raises also Unavailable and Denied.
        """

    def host_credential(self, host: str) -> str:
        """The token that makes its bearer the agent of this host."""

    def controller_credential(self) -> str:
        """The token that makes its bearer the fabric controller, whichever of them acts."""

    def learn_revocations(self, revocations: Mapping[str, int]) -> None:
        """How often the credentials of these hosts were revoked: older ones are known no more."""

    async def close(self) -> None:
        """Let go of what others are asked by."""


class TokenAuthenticator:
    def __init__(self, admin_token: str, agents_secret: bytes) -> None:
        self._admin_token = admin_token.encode()
        self._agents_secret = agents_secret
        self._revocations: dict[str, int] = {}

    def learn_revocations(self, revocations: Mapping[str, int]) -> None:
        for host, times in revocations.items():  # what was read a moment ago may be older
            self._revocations[host] = max(times, self._revocations.get(host, 0))

    async def close(self) -> None:
        """Nobody is asked."""

    def caller(self, headers: Mapping[bytes, bytes]) -> Caller:
        token = token_of(headers)
        if token is None:
            raise Unauthenticated(
                "The request names nobody.",
                next="Send the token in X-Auth-Token or as Authorization: Bearer.",
            )
        caller = self.of_own(token, headers)
        if caller is None:
            raise Unauthenticated(
                "The token is not known here.",
                next="Take the one in this server's admin.token, or a host's own credential.",
            )
        return caller

    def of_own(self, token: bytes, headers: Mapping[bytes, bytes]) -> Caller | None:
        """Whose a token is that this server made itself; None: no such token."""
        if hmac.compare_digest(token, self._admin_token):
            return Caller(project_id=_project(headers), is_admin=True)
        if hmac.compare_digest(token, self.controller_credential().encode()):
            return Caller(project_id=DEFAULT_PROJECT, is_controller=True)
        host = self._agent_host(token)
        return None if host is None else Caller(project_id=DEFAULT_PROJECT, host=host)

    def host_credential(self, host: str) -> str:
        times = self._revocations.get(host, 0)
        subject = f"{host}\0{times}" if times else host  # no host's name has a NUL
        return f"{_AGENT_PREFIX}{host}.{_mac(self._agents_secret, subject)}"

    def controller_credential(self) -> str:
        return f"fabric.{_mac(self._agents_secret, _CONTROLLER)}"

    def _agent_host(self, token: bytes) -> str | None:
        if not token.startswith(_AGENT_PREFIX.encode()):
            return None
        host = token.rpartition(b".")[0].removeprefix(_AGENT_PREFIX.encode()).decode("latin-1")
        if len(host) > HOST_NAME_MAX:  # of strangers' tokens nothing large is kept
            return None
        known = hmac.compare_digest(token, self.host_credential(host).encode())
        return host if known and host else None


@lru_cache(maxsize=4096)  # each request of an agent asks for two
def _mac(secret: bytes, subject: str) -> str:
    return hmac.digest(secret, subject.encode(), "sha256").hex()


class OpenAuthenticator:
    """Mode `none`: all are admin; X-Project-Id names the project."""

    def __init__(self, agents_secret: bytes) -> None:
        self._tokens = TokenAuthenticator("", agents_secret)

    def caller(self, headers: Mapping[bytes, bytes]) -> Caller:
        return Caller(project_id=_project(headers), is_admin=True)

    def host_credential(self, host: str) -> str:
        return self._tokens.host_credential(host)

    def controller_credential(self) -> str:
        return self._tokens.controller_credential()

    def learn_revocations(self, revocations: Mapping[str, int]) -> None:
        self._tokens.learn_revocations(revocations)

    async def close(self) -> None:
        """Nobody is asked."""


def require_servable(settings: ServerSettings) -> None:
    """Refuse settings under which strangers could do anything; raises InvalidConfiguration."""
    if settings.auth is AuthMode.NONE and not (_is_loopback(settings.host) or settings.lab):
        raise InvalidConfiguration(
            f"auth = none would let everybody who reaches {settings.listen} do anything.",
            next="Use auth = token, listen on 127.0.0.1, or name the lab that it serves by"
            " NETWRIGHT_SERVER_LAB.",
        )


def token_of(headers: Mapping[bytes, bytes]) -> bytes | None:
    """The token that a request shows."""
    return headers.get(b"x-auth-token") or _bearer(headers)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _project(headers: Mapping[bytes, bytes]) -> str:
    project = headers.get(b"x-project-id")
    if not project:
        return DEFAULT_PROJECT
    name = project.decode("latin-1")
    if len(name) > PROJECT_ID_LENGTH_MAX or not name.isprintable():
        raise Unauthenticated(
            "X-Project-Id is not the id of a project.",
            next=f"Send at most {PROJECT_ID_LENGTH_MAX} printable characters.",
        )
    return name


def _bearer(headers: Mapping[bytes, bytes]) -> bytes | None:
    scheme, _, token = headers.get(b"authorization", b"").partition(b" ")
    return token.strip() or None if scheme.lower() == b"bearer" else None
