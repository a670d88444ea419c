"""Leases by name: which of several controllers acts."""

import re
from typing import Annotated

from msgspec import Meta

from netwright.model.errors import Denied, InvalidInput, NotFound
from netwright.model.fabric import LEASE
from netwright.model.resources import Value
from netwright.model.wire import LeaseState
from netwright.server.api.body import Shape
from netwright.server.api.reply import Reply, json_reply
from netwright.server.api.route import Access, Call, Route

TTL_S_MAX = 3600
_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,251}[A-Za-z0-9])?")


class LeaseNotFound(NotFound):
    """Nobody ever held it, or what was known of it did not outlive a restore."""


class LeaseWish(Value, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who wants the lease, and for how long; 0 gives it back."""

    holder: Annotated[str, Meta(min_length=1, max_length=255)]
    ttl_s: Annotated[float, Meta(ge=0, le=TTL_S_MAX)]


class LeaseToken(Value, frozen=True, kw_only=True):
    """Grows with each tenure: what is done under a lower one is outdated."""

    token: int


_wish = Shape(LeaseWish)


def routes() -> tuple[Route, ...]:
    return (
        Route("POST", "/v1/leases/{name}", _take, Access.FABRIC, "Take or renew a lease", LeaseWish,
              LeaseToken),
        Route("GET", "/v1/leases/{name}", _show, Access.ADMIN, "Show who holds a lease",
              response=LeaseState),
    )  # fmt: skip


async def _take(call: Call) -> Reply:
    wish, name = _wish.decode(await call.body()), _name(call)
    if call.caller.is_controller and name != LEASE:
        raise Denied(
            f"The fabric controller's credential cannot take lease {name}.",
            next=f"It is for lease {LEASE} alone.",
        )
    token = await call.service.take_lease(name, wish.holder, wish.ttl_s)
    return json_reply(LeaseToken(token=token))


async def _show(call: Call) -> Reply:
    name = _name(call)
    lease = await call.service.lease(name)
    if lease is None:
        raise LeaseNotFound(
            f"Nobody ever held lease {name}.",
            next=f"The active fabric controller holds lease {LEASE}: netwright fabric run.",
        )
    return json_reply(lease)


def _name(call: Call) -> str:
    name = call.path["name"]
    if not _NAME.fullmatch(name):
        raise InvalidInput(
            f"{name[:300]!r} is no name for a lease.",
            next="Use letters, digits, dots, hyphens and underscores, 253 characters at most.",
        )
    return name
