"""The few calls of the Networking API v2.0 that our own tools make; others use openstacksdk.

Resources are plain dictionaries here, as the API has them: its attributes are its own.
"""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from types import NoneType
from typing import Any, TypeAlias, TypeVar
from urllib.parse import quote

from netwright.client.http import Http
from netwright.model.errors import Conflict, InternalError, NotFound

Resource: TypeAlias = dict[str, Any]
Resources: TypeAlias = list[Resource]

M = TypeVar("M", Resource, Resources)


class Collection(StrEnum):
    NETWORKS = "networks"
    SEGMENTS = "segments"
    SUBNETS = "subnets"
    PORTS = "ports"
    ROUTERS = "routers"
    FLOATING_IPS = "floatingips"
    SECURITY_GROUPS = "security_groups"
    SECURITY_GROUP_RULES = "security_group_rules"

    @property
    def singular(self) -> str:
        return self.value.removesuffix("s")

    @property
    def path(self) -> str:
        return f"/v2.0/{self.value.replace('_', '-')}"


class Networking:
    """Create, list, show, update, delete; the session is the caller's."""

    def __init__(self, http: Http) -> None:
        self._http = http

    async def create(self, of: Collection, attributes: Mapping[str, Any]) -> Resource:
        return await self._one("POST", of, of.path, {of.singular: attributes})

    async def create_all(self, of: Collection, resources: Iterable[Mapping[str, Any]]) -> Resources:
        """Create all or none (bulk), in the order given."""
        body = {str(of): list(resources)}
        answer = await self._http.call("POST", of.path, dict[str, Any], body=body)
        return _member(answer, of, list)

    async def list(self, of: Collection, filters: Mapping[str, str] | None = None) -> Resources:
        answer = await self._http.call("GET", of.path, dict[str, Any], params=filters)
        return _member(answer, of, list)

    async def show(self, of: Collection, resource_id: str) -> Resource:
        return await self._one("GET", of, _path(of, resource_id))

    async def update(
        self, of: Collection, resource_id: str, attributes: Mapping[str, Any]
    ) -> Resource:
        return await self._one("PUT", of, _path(of, resource_id), {of.singular: attributes})

    async def delete(self, of: Collection, resource_id: str) -> None:
        await self._http.call("DELETE", _path(of, resource_id), NoneType)

    async def add_router_interface(self, router_id: str, what: Mapping[str, str]) -> Resource:
        """`what` is a subnet, by `subnet_id`, or a port of one's own, by `port_id`."""
        return await self._change_interface("add", router_id, what)

    async def remove_router_interface(self, router_id: str, what: Mapping[str, str]) -> Resource:
        """Likewise; the port goes with it."""
        return await self._change_interface("remove", router_id, what)

    async def prepare_binding(self, port_id: str, host: str) -> Resource:
        """An inactive binding of the port on a host, for a live migration to it."""
        body = {"binding": {"host": host}}
        answer = await self._http.call("POST", _bindings(port_id), dict[str, Any], body=body)
        return _member(answer, "binding", dict)

    async def activate_binding(self, port_id: str, host: str) -> Resource:
        path = f"{_bindings(port_id, host)}/activate"
        return await self._http.call("PUT", path, dict[str, Any])

    async def delete_binding(self, port_id: str, host: str) -> None:
        await self._http.call("DELETE", _bindings(port_id, host), NoneType)

    async def find(self, of: Collection, name_or_id: str) -> Resource:
        """The resource of this id or, when there is none, of this name.

        Raises NotFound, or Conflict when several have the name.
        """
        for key in ("id", "name"):
            found = await self.list(of, {key: name_or_id})
            if len(found) > 1:
                raise Conflict(
                    f"{len(found)} {of} are named {name_or_id}.",
                    next=f"Give an id: {', '.join(str(one['id']) for one in found)}.",
                )
            if found:
                return found[0]
        raise NotFound(
            f"No {of.singular} has the id or name {name_or_id}.",
            next=f"openstack {of.singular} list shows what there is.",
        )

    async def _change_interface(
        self, verb: str, router_id: str, what: Mapping[str, str]
    ) -> Resource:
        path = f"{_path(Collection.ROUTERS, router_id)}/{verb}_router_interface"
        return await self._http.call("PUT", path, dict[str, Any], body=dict(what))

    async def _one(self, method: str, of: Collection, path: str, body: Any = None) -> Resource:
        answer = await self._http.call(method, path, dict[str, Any], body=body)
        return _member(answer, of.singular, dict)


def _member(answer: Mapping[str, Any], key: str, kind: type[M]) -> M:
    member = answer.get(key)
    if not isinstance(member, kind):
        raise InternalError(f"The server's answer has no {key!r}, or of another type.")
    return member


def _bindings(port_id: str, host: str = "") -> str:
    path = f"{_path(Collection.PORTS, port_id)}/bindings"
    return f"{path}/{quote(host, safe='')}" if host else path


def _path(of: Collection, resource_id: str) -> str:
    return f"{of.path}/{quote(resource_id, safe='')}"
