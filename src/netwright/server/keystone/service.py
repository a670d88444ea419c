"""Keystone over HTTP: a token of our own, by a password, and what it says of others' tokens.

`GET /v3/auth/tokens` as https://docs.openstack.org/api-ref/identity/v3/ has it. Every wait is
bounded; our own token is had once for all that wait for it, and renewed before it expires.
"""

import asyncio
import os
import ssl
import time
from http import HTTPStatus
from pathlib import Path
from typing import Any

import aiohttp
import msgspec

from netwright.model.errors import Unavailable
from netwright.model.resources import Value
from netwright.server.keystone.tokens import Vouched, vouched

CONNECTIONS_MAX = 8
CONNECT_S_MAX = 3.0
KEEP_ALIVE_S = 4.0
"""Shorter than servers keep idle connections, so that none goes away under a request."""
RENEWED_S = 60.0
"""How long before its end our own token is had anew."""
ANSWER_BYTES_MAX = 4 << 20
_WHY_MAX = 200


class KeystoneAway(Unavailable):
    """Keystone does not say whose a token is; that is not its bearer's fault."""


class Access(Value, frozen=True, kw_only=True):
    """Where keystone is, and who asks there. `url` ends with /v3."""

    url: str
    user: str
    user_domain: str
    project: str
    project_domain: str
    password_file: Path
    ca_file: Path | None
    timeout_s: float


class Keystone:
    def __init__(self, access: Access) -> None:
        self._access = access
        self._session: aiohttp.ClientSession | None = None
        self._token = ""
        self._token_until = 0.0
        self._renewing = asyncio.Lock()

    @property
    def url(self) -> str:
        return self._access.url

    async def vouch(self, token: str) -> Vouched | None:
        """Whose a token is; None: keystone knows no such token. Raises KeystoneAway."""
        try:
            async with asyncio.timeout(self._access.timeout_s):
                return await self._vouch(token)
        except TimeoutError:
            why = f"it gave no answer within {self._access.timeout_s:g} s"
        except (aiohttp.ClientError, OSError) as error:
            why = f"it cannot be asked: {_reason(error)}"
        except (msgspec.DecodeError, ValueError) as error:
            why = f"it does not answer as keystone does: {error}"
        raise self._away(why)

    async def close(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def _vouch(self, token: str) -> Vouched | None:
        own = await self._own_token()
        status, content = await self._ask(own, token)
        if status == HTTPStatus.UNAUTHORIZED:  # ours was revoked, or keystone's keys are new
            own = await self._own_token(instead_of=own)
            status, content = await self._ask(own, token)
        if status == HTTPStatus.OK:
            return vouched(content)
        if status == HTTPStatus.NOT_FOUND and _is_keystones(content):
            return None
        who = f"user {self._access.user} of this server"
        if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
            raise self._away(
                f"it answers {status} to {who}",
                next=f"Give {self._access.user} the role service in {self._access.project}.",
            )
        raise self._away(f"it answers {status}: {_said(content)}")

    async def _ask(self, own: str, token: str) -> tuple[int, bytes]:
        headers = {"X-Auth-Token": own, "X-Subject-Token": token}
        url = f"{self._access.url}/auth/tokens"
        async with self._open().get(
            url, params={"nocatalog": ""}, headers=headers, allow_redirects=False
        ) as response:
            return response.status, await _read(response)

    async def _own_token(self, instead_of: str = "") -> str:
        """Ours; another than this one, which is not accepted."""
        if self._holds(instead_of):
            return self._token
        async with self._renewing:
            if not self._holds(instead_of):
                self._token, self._token_until = await self._log_in()
            return self._token

    def _holds(self, instead_of: str) -> bool:
        is_other = bool(self._token) and self._token != instead_of
        return is_other and time.time() < self._token_until - RENEWED_S

    async def _log_in(self) -> tuple[str, float]:
        """Our own token, and when it expires."""
        url = f"{self._access.url}/auth/tokens"
        async with self._open().post(
            url, params={"nocatalog": ""}, json=self._credentials(), allow_redirects=False
        ) as response:
            content = await _read(response)
            token = response.headers.get("X-Subject-Token", "")
        if response.status == HTTPStatus.CREATED and token:
            # At least as long as two renewals, so that a clock that is off makes no storm of them.
            return token, max(vouched(content).expires_at, time.time() + 2 * RENEWED_S)
        if response.status == HTTPStatus.UNAUTHORIZED:
            raise self._away(
                f"it does not let user {self._access.user} of this server in",
                next="Look at keystone_user, its domain, project and keystone_password_file.",
            )
        raise self._away(f"it answers {response.status} to a log-in: {_said(content)}")

    def _credentials(self) -> dict[str, Any]:
        access = self._access
        user = {
            "name": access.user,
            "domain": {"name": access.user_domain},
            "password": self._password(),
        }
        project = {"name": access.project, "domain": {"name": access.project_domain}}
        identity = {"methods": ["password"], "password": {"user": user}}
        return {"auth": {"identity": identity, "scope": {"project": project}}}

    def _password(self) -> str:
        path = self._access.password_file
        try:
            password = path.read_text(encoding="utf-8").strip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is no text"
            raise self._away(
                f"keystone_password_file {path} cannot be read: {why}",
                next="Give the server the right to it.",
            ) from error
        if not password:
            raise self._away(f"{path} is empty", next="Write the password into it.")
        return password

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    limit=CONNECTIONS_MAX, keepalive_timeout=KEEP_ALIVE_S, ssl=self._tls()
                ),
                headers={"User-Agent": "netwright", "Accept": "application/json"},
                timeout=aiohttp.ClientTimeout(
                    total=self._access.timeout_s,
                    sock_connect=min(self._access.timeout_s, CONNECT_S_MAX),
                ),
            )
        return self._session

    def _tls(self) -> ssl.SSLContext | bool:
        if self._access.ca_file is None:
            return True
        return ssl.create_default_context(cafile=str(self._access.ca_file))

    def _away(self, why: str, *, next: str = "") -> KeystoneAway:  # noqa: A002 - an error's field
        return KeystoneAway(
            f"Keystone at {self._access.url} does not say whose the token is: {why}.",
            next=next or "Look at keystone; try again.",
        )


async def _read(response: aiohttp.ClientResponse) -> bytes:
    content = bytearray()
    async for chunk in response.content.iter_any():
        content += chunk
        if len(content) > ANSWER_BYTES_MAX:
            raise ValueError(f"its answer is longer than {ANSWER_BYTES_MAX} bytes")
    return bytes(content)


def _is_keystones(content: bytes) -> bool:
    """Whether an answer is an error in keystone's form: another server's 404 says nothing."""
    try:
        return "error" in msgspec.json.decode(content, type=dict[str, Any])
    except msgspec.DecodeError:
        return False


def _said(content: bytes) -> str:
    return " ".join(content[:_WHY_MAX].decode("utf-8", "replace").split()) or "nothing"


def _reason(error: Exception) -> str:
    if isinstance(error, aiohttp.ClientConnectorError) and error.os_error.errno:
        return os.strerror(error.os_error.errno).lower()
    return str(error) or type(error).__name__
