"""Many resources in one request, by PUT and DELETE on the collection: `{"ports": [{"id": …}]}`.

All or none; or, if the client prefers leniency, each by itself (`outcomes`). POST is in `resource`.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import GenericAlias
from typing import Any

import msgspec

from netwright.model.errors import HTTPBadRequest
from netwright.server.api.body import Shape
from netwright.server.api.reply import Reply, json_reply
from netwright.server.api.route import Access, Call, Route
from netwright.server.api.v2 import listing
from netwright.server.api.v2.outcomes import LENIENT, each_by_itself
from netwright.server.api.v2.resource import Resource
from netwright.server.api.v2.values import Body, Uuid
from netwright.server.commands import Command, Together


class Named(Body, frozen=True, kw_only=True):
    """A resource that is to be deleted."""

    id: Uuid


class Bulk:
    """Changes and deletes many of a resource."""

    def __init__(self, resource: Resource[Any, Any, Any]) -> None:
        self._resource = resource
        self._updates = _many(resource, "Update", _identified(resource.change_type))
        self._deletions = _many(resource, "Deletion", Named)

    async def update(self, call: Call) -> Reply:
        resource, caller = self._resource, call.caller
        items = await self._items(call, self._updates, "changes")
        sight = await resource.sight(call, [item.id for item in items], items)
        changes = [partial(resource.changing, caller, item.id, item, None, sight) for item in items]
        if LENIENT in call.preferences:
            attempts = [partial(self._change, call, change) for change in changes]
            return await each_by_itself(resource.collection, attempts)
        done = await _together(call, changes)
        views = [resource.view(caller, value) for (value,) in done]
        return json_reply({resource.collection: views})

    async def delete(self, call: Call) -> Reply:
        resource, caller = self._resource, call.caller
        items = await self._items(call, self._deletions, "deletes")
        sight = await resource.sight(call, [item.id for item in items])
        deletions = [partial(resource.deleting, caller, item.id, None, sight) for item in items]
        if LENIENT in call.preferences:
            attempts = [partial(_delete, call, deletion) for deletion in deletions]
            return await each_by_itself(resource.collection, attempts)
        await _together(call, deletions)
        return Reply(204)

    def routes(self) -> tuple[Route, ...]:
        name, access = self._resource.collection, Access.PROJECT
        path = self._resource.path()
        page = {name: GenericAlias(list, (self._resource.view_type,))}
        return (
            Route("PUT", path, self.update, access, f"Change many {name}", self._updates.type,
                  page),
            Route("DELETE", path, self.delete, access, f"Delete many {name}",
                  self._deletions.type, statuses=(204,)),
        )  # fmt: skip

    async def _items(self, call: Call, shape: Shape[Any], does: str) -> Sequence[Any]:
        listing.refuse_parameters(call.query)
        if b"if-match" in call.headers:
            raise HTTPBadRequest(
                "If-Match names the revision of one resource.",
                next="Send it with a request about one resource.",
            )
        items: Sequence[Any] = getattr(shape.decode(await call.body()), self._resource.collection)
        self._resource.check_number(items, does)
        seen: set[str] = set()
        for item in items:
            if item.id in seen:
                raise HTTPBadRequest(f"{self._resource.name} {item.id} is named twice.")
            seen.add(item.id)
        return items

    async def _change(self, call: Call, prepare: Callable[[], Command]) -> Mapping[str, Any]:
        (value,) = await call.service.commit(prepare())
        return {"status": 200, self._resource.name: self._resource.view(call.caller, value)}


async def _delete(call: Call, prepare: Callable[[], Command]) -> Mapping[str, Any]:
    await call.service.commit(prepare())
    return {"status": 204}


async def _together(call: Call, prepare: Sequence[Callable[[], Command]]) -> Sequence[Any]:
    commands = tuple(one() for one in prepare)
    done: Sequence[Any] = await call.service.commit(Together(caller=call.caller, commands=commands))
    return done


def _identified(change: type[Body]) -> type[msgspec.Struct]:
    """The type of a change that names its resource itself."""
    return msgspec.defstruct(
        f"{change.__name__}OfMany", [("id", Uuid)], bases=(change,), kw_only=True, frozen=True
    )


def _many(
    resource: Resource[Any, Any, Any], does: str, item: type[msgspec.Struct]
) -> Shape[msgspec.Struct]:
    body = msgspec.defstruct(
        f"{resource.collection.capitalize()}{does}Body",
        [(resource.collection, GenericAlias(tuple, (item, ...)))],
        bases=(Body,),
        kw_only=True,
        frozen=True,
    )
    read_only = frozenset(resource.view_type.__struct_encode_fields__) - {"id"}
    return Shape(body, wrapped=True, read_only=read_only)
