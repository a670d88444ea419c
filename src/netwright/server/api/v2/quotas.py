"""Quotas in the Networking API: what projects may have, and what they have of it.

Reading one's own is anybody's, all else an administrator's. `reserved` is always 0: a request is
held to its quota in the transaction that carries it out.
"""

from collections.abc import Mapping
from types import GenericAlias
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from netwright.model.errors import HTTPBadRequest
from netwright.model.quotas import UNLIMITED, Quota
from netwright.server.api.body import Shape
from netwright.server.api.reply import Reply, json_reply
from netwright.server.api.route import Access, Call, Route
from netwright.server.api.v2 import listing, policy
from netwright.server.api.v2.resource import given
from netwright.server.api.v2.values import Body
from netwright.server.commands import ResetQuota, SetQuota
from netwright.server.counted import COUNTED
from netwright.server.queries import Query

_LIMIT_MAX = 2**31 - 1
_PROJECT_ID_LENGTH_MAX = 255

Limit = Annotated[int, Meta(ge=UNLIMITED, le=_LIMIT_MAX)]

_FLAGS = ("check_limit", "force")
QuotaChange = msgspec.defstruct(
    "QuotaChange",
    [
        *((resource, Limit | UnsetType, UNSET) for resource in COUNTED),
        *((flag, bool | UnsetType, UNSET) for flag in _FLAGS),
    ],
    bases=(Body,),
    kw_only=True,
    frozen=True,
)
_ChangeBody = msgspec.defstruct(
    "QuotaChangeBody", [("quota", QuotaChange)], bases=(Body,), kw_only=True, frozen=True
)
_CHANGE = Shape[Any](
    _ChangeBody, wrapped=True, read_only=frozenset({"project_id", "tenant_id"}), changes=True
)


class QuotaUsage(msgspec.Struct, frozen=True, kw_only=True):
    """-1 is no limit."""

    limit: int
    used: int
    reserved: int = 0


_View = msgspec.defstruct("QuotaView", [(resource, int) for resource in COUNTED])
_ListView = msgspec.defstruct(
    "QuotaOfProject", [("project_id", str), ("tenant_id", str)], bases=(_View,), kw_only=True
)
_DetailsView = msgspec.defstruct("QuotaDetails", [(name, QuotaUsage) for name in COUNTED])


class Quotas:
    """The quotas' routes, given the configured defaults."""

    def __init__(self, defaults: Mapping[str, int]) -> None:
        self._defaults = defaults

    def routes(self) -> tuple[Route, ...]:
        path, access, quota = "/v2.0/quotas", Access.PROJECT, {"quota": _View}
        details = {"quota": _DetailsView}
        page = {"quotas": GenericAlias(list, (_ListView,))}
        return (
            Route("GET", path, self._list, access, "List quotas that were set", response=page),
            *(
                Route("GET", f"{path}/{word}", self._whose, access, "Whose quota is one's own",
                      response=dict)
                for word in ("project", "tenant")
            ),
            Route("GET", f"{path}/{{id}}", self._show, access, "Show a project's quota",
                  response=quota),
            Route("GET", f"{path}/{{id}}/default", self._show_default, access,
                  "Show what a quota is by default", response=quota),
            *(
                Route("GET", f"{path}/{{id}}/{word}", self._show_details, access,
                      "Show a project's quota and what it has of it", response=details)
                for word in ("details", "details.json")
            ),
            Route("PUT", f"{path}/{{id}}", self._set, access, "Set a project's quota", _ChangeBody,
                  quota),
            Route("DELETE", f"{path}/{{id}}", self._reset, access,
                  "Give a project the default quota", statuses=(204,)),
        )  # fmt: skip

    async def _list(self, call: Call) -> Reply:
        listing.refuse_parameters(call.query)
        policy.require_granted(call.caller, "get_quota")
        found = await call.service.reader.many(Quota, Query())
        views = [
            {"project_id": quota.id, "tenant_id": quota.id, **self._limits(quota)}
            for quota in found
            if quota.limits
        ]
        return json_reply({"quotas": views})

    async def _whose(self, call: Call) -> Reply:
        listing.refuse_parameters(call.query)
        word = call.exchange.path.rstrip("/").rpartition("/")[2]
        return json_reply({word: {f"{word}_id": call.caller.project_id}})

    async def _show(self, call: Call) -> Reply:
        return json_reply({"quota": self._limits(await _quota(call))})

    async def _show_default(self, call: Call) -> Reply:
        project_id = _readable(call)
        return json_reply({"quota": self._limits(Quota(id=project_id))})

    async def _show_details(self, call: Call) -> Reply:
        quota = await _quota(call)
        used = await call.service.reader.usage(quota.id)
        details = {
            resource: QuotaUsage(limit=limit, used=used[resource])
            for resource, limit in self._limits(quota).items()
        }
        return json_reply({"quota": details})

    async def _set(self, call: Call) -> Reply:
        listing.refuse_parameters(call.query)
        policy.require_granted(call.caller, "update_quota")
        project_id = _project(call)
        change = given(_CHANGE.decode(await call.body()).quota)
        force = bool(change.get("force"))
        if force and change.get("check_limit"):
            raise HTTPBadRequest(
                "force and check_limit contradict each other.", next="Send one of them."
            )
        limits = {name: limit for name, limit in change.items() if name not in _FLAGS}
        command = SetQuota(
            caller=call.caller, project_id=project_id, limits=limits, check=not force
        )
        quota: Quota = await call.service.commit(command)
        return json_reply({"quota": self._limits(quota)})

    async def _reset(self, call: Call) -> Reply:
        listing.refuse_parameters(call.query)
        policy.require_granted(call.caller, "delete_quota")
        await call.service.commit(ResetQuota(caller=call.caller, project_id=_project(call)))
        return Reply(204)

    def _limits(self, quota: Quota) -> dict[str, int]:
        return {resource: quota.limit(resource, self._defaults) for resource in COUNTED}


async def _quota(call: Call) -> Quota:
    project_id = _readable(call)
    return await call.service.reader.one(Quota, project_id) or Quota(id=project_id)


def _readable(call: Call) -> str:
    """The project that is asked about. A project has no way to ask about another."""
    listing.refuse_parameters(call.query)
    project_id = _project(call)
    if project_id != call.caller.project_id:
        policy.require_granted(call.caller, "get_quota")
    return project_id


def _project(call: Call) -> str:
    project_id = call.path["id"]
    if len(project_id) > _PROJECT_ID_LENGTH_MAX or "\0" in project_id:
        raise HTTPBadRequest(
            "The path names no project.",
            next=f"A project's id has at most {_PROJECT_ID_LENGTH_MAX} characters.",
        )
    return project_id
