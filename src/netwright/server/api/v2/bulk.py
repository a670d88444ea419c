"""Many resources in one request, by PUT and DELETE on the collection: `{"ports": [{"id": …}]}`.

All or none; or, if the client prefers leniency, each by itself (`outcomes`). POST is in `resource`.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import GenericAlias
from typing import Any

import msgspec

from netwright.model.errors import HTTPBadRequest, NetwrightError
from netwright.model.operations import Action
from netwright.server.api.body import Shape
from netwright.server.api.reply import Reply, json_reply
from netwright.server.api.route import Access, Call, Route
from netwright.server.api.v2 import listing
from netwright.server.api.v2.deferral import ASYNC, Prepare, deferred
from netwright.server.api.v2.outcomes import LENIENT, described, each_by_itself
from netwright.server.api.v2.resource import Resource, check_name
from netwright.server.api.v2.values import Body, Uuid
from netwright.server.commands import Caller, Command, Together
from netwright.server.each import each


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
        each(resource.collection, items, check_name)
        sight = await resource.sight(call, [item.id for item in items], items)
        changes = [partial(resource.changing, caller, item.id, item, None, sight) for item in items]
        if ASYNC in call.preferences:
            return await self._later(call, Action.UPDATE, items, changes)
        if LENIENT in call.preferences:
            attempts = [partial(self._change, call, change) for change in changes]
            return await each_by_itself(resource.collection, attempts)
        done = await call.service.commit(self._together(caller, items, changes))
        views = await resource.views(call, [value for (value,) in done])
        return json_reply({resource.collection: views})

    async def delete(self, call: Call) -> Reply:
        resource, caller = self._resource, call.caller
        items = await self._items(call, self._deletions, "deletes")
        sight = await resource.sight(call, [item.id for item in items])
        deletions = [partial(resource.deleting, caller, item.id, None, sight) for item in items]
        if ASYNC in call.preferences:
            return await self._later(call, Action.DELETE, items, deletions)
        if LENIENT in call.preferences:
            attempts = [partial(_delete, call, deletion) for deletion in deletions]
            return await each_by_itself(resource.collection, attempts)
        await call.service.commit(self._together(caller, items, deletions))
        return Reply(204)

    def routes(self) -> tuple[Route, ...]:
        name, access = self._resource.collection, Access.PROJECT
        path = self._resource.path
        page = {name: GenericAlias(list, (self._resource.view_type,))}
        lenient = described(name, self._resource.name, self._resource.view_type)
        return (
            Route("DELETE", path, self.delete, access, f"Delete many {name}",
                  self._deletions.type, statuses=(204,), lenient=lenient),
            *((Route("PUT", path, self.update, access, f"Change many {name}",
                     self._updates.type, page, lenient=lenient),)
              if self._resource.is_changeable else ()),
        )  # fmt: skip

    async def _items(self, call: Call, shape: Shape[Any], does: str) -> Sequence[Any]:
        listing.refuse_parameters(call.query)
        if b"if-match" in call.headers:
            raise HTTPBadRequest(
                "If-Match names the revision of one resource.",
                next="Send it with a request about one resource.",
            )
        body, collection = await call.body(), self._resource.collection
        if not body.strip():
            raise HTTPBadRequest(
                f"{call.exchange.method} /v2.0/{collection} has no body, which says what it is "
                "about.",
                next=f'Send {{"{collection}": [{{"id": ID}}, …]}}; for one {self._resource.name} '
                f"ask at /v2.0/{collection}/ID.",
            )
        items: Sequence[Any] = getattr(shape.decode(body), collection)
        self._resource.check_number(items, does)
        seen: set[str] = set()
        for item in items:
            if item.id in seen:
                raise HTTPBadRequest(f"{self._resource.name} {item.id} is named twice.")
            seen.add(item.id)
        return items

    async def _later(
        self, call: Call, action: Action, items: Sequence[Any], prepare: Sequence[Prepare]
    ) -> Reply:
        parts: Sequence[Prepare] = [partial(self._together, call.caller, items, prepare)]
        if LENIENT in call.preferences:
            parts = prepare
        return await deferred(call, self._resource.collection, action, parts, many=True)

    def _together(
        self, caller: Caller, items: Sequence[Any], prepare: Sequence[Prepare]
    ) -> Command:
        """All or none of the commands; the error of one among several names its item."""
        collection = self._resource.collection
        names = tuple(f"{collection}[{n}], id {item.id}" for n, item in enumerate(items))
        commands = []
        for one, name in zip(prepare, names, strict=True):
            try:
                commands.append(one())
            except NetwrightError as error:
                raise error.about(name) from None
        return Together(caller=caller, commands=tuple(commands), items=names)

    async def _change(self, call: Call, prepare: Callable[[], Command]) -> Mapping[str, Any]:
        (value,) = await call.service.commit(prepare())
        (view,) = await self._resource.views(call, (value,))
        return {"status": 200, self._resource.name: view}


async def _delete(call: Call, prepare: Callable[[], Command]) -> Mapping[str, Any]:
    await call.service.commit(prepare())
    return {"status": 204}


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
    return Shape(body, wrapped=True, read_only=read_only, changes=True)
