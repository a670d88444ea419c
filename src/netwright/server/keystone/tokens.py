"""What keystone says of a token, and whom it makes of its bearer."""

from datetime import datetime

import msgspec

from netwright.model.errors import Denied
from netwright.model.resources import Value
from netwright.server.commands import Caller
from netwright.server.rights.rules import Rules

TOKEN_LENGTH_MAX = 8192


class Vouched(Value, frozen=True, kw_only=True):
    """A token that is valid: its bearer's roles in a project, or in the system; "" is neither.

    `expires_at` in Unix seconds.
    """

    user_id: str
    project_id: str
    is_system: bool
    domain_id: str
    roles: frozenset[str]
    expires_at: float


class _Named(msgspec.Struct):
    id: str


class _Role(msgspec.Struct):
    name: str


class _System(msgspec.Struct):
    all: bool = False


class _Token(msgspec.Struct):
    """As far as it matters; an unscoped one has neither roles nor any of the scopes."""

    user: _Named
    expires_at: datetime
    roles: tuple[_Role, ...] = ()
    project: _Named | None = None
    domain: _Named | None = None
    system: _System | None = None


class _Body(msgspec.Struct):
    token: _Token


_decode = msgspec.json.Decoder(_Body).decode


def vouched(content: bytes) -> Vouched:
    """What the answer to `GET /v3/auth/tokens` says; raises ValueError where that is nothing."""
    token = _decode(content).token
    if token.expires_at.tzinfo is None:
        raise ValueError("its token's expires_at has no time zone")
    return Vouched(
        user_id=token.user.id,
        project_id=token.project.id if token.project else "",
        is_system=token.system is not None and token.system.all,
        domain_id=token.domain.id if token.domain else "",
        roles=frozenset(role.name for role in token.roles),
        expires_at=token.expires_at.timestamp(),
    )


def caller_of(found: Vouched, rules: Rules) -> Caller:
    """Who the bearer is here; raises Denied for one who may do nothing."""
    if found.domain_id:
        raise Denied(
            f"The token is of the domain {found.domain_id}, and here nothing is a domain's.",
            next="Ask for a token of a project.",
        )
    if not found.project_id and not found.is_system:
        raise Denied(
            "The token is of no project: whoever shows it has no role here.",
            next="Ask for a token of a project, such as by OS_PROJECT_NAME.",
        )
    granted = rules.granted(found.roles)
    if found.is_system and not granted.is_admin:
        raise Denied(
            "The token is of the system, which is for administrators here.",
            next="Ask for a token of a project, or as an administrator.",
        )
    return Caller(project_id=found.project_id, is_admin=granted.is_admin, rights=granted.rights)


def is_possible(token: bytes) -> bool:
    """Whether this could be a token of keystone's at all: others are not worth asking."""
    return len(token) <= TOKEN_LENGTH_MAX and token.isascii() and token.decode().isprintable()
