"""Tags of resources in the Networking API: `/v2.0/COLLECTION/ID/tags`, for every resource alike."""

from typing import Any

from msgspec import UNSET, UnsetType

from netwright.model.errors import HTTPBadRequest, NotFound
from netwright.server.api.body import Shape
from netwright.server.api.errors import invalid
from netwright.server.api.reply import Reply, json_reply
from netwright.server.api.route import Access, Call, Route
from netwright.server.api.v2 import listing, values
from netwright.server.api.v2.resource import Resource, if_match
from netwright.server.api.v2.values import TAG_LENGTH_MAX, Body, Tag
from netwright.server.commands import ChangeTags
from netwright.server.tags import KIND_OF, missing, no_tag


class TagsBody(Body, frozen=True, kw_only=True):
    tags: tuple[Tag, ...]


_SHAPE = Shape(TagsBody)


def is_tagged(resource: Resource[Any, Any, Any]) -> bool:
    """Whether the resource has tags."""
    return resource.value_type in KIND_OF


class Tags:
    """The tags of a resource."""

    def __init__(self, resource: Resource[Any, Any, Any]) -> None:
        self._resource = resource
        self._kind = KIND_OF[resource.value_type]

    async def _list(self, call: Call) -> Reply:
        return json_reply({"tags": await self._of(call)})

    async def _check(self, call: Call) -> Reply:
        tag = _named(call)
        if tag not in await self._of(call):
            raise no_tag(tag)
        return Reply(204)

    async def _replace(self, call: Call) -> Reply:
        tags = values.tags(_SHAPE.decode(await call.body()).tags)
        return json_reply({"tags": await self._change(call, replaced=tags)})

    async def _add(self, call: Call) -> Reply:
        tags = values.tags(_SHAPE.decode(await call.body()).tags)
        await self._change(call, add=tags)
        return json_reply({"tags": tags}, 201)

    async def _add_one(self, call: Call) -> Reply:
        await self._change(call, add=(_named(call),))
        return Reply(201)

    async def _remove_all(self, call: Call) -> Reply:
        await self._change(call, replaced=())
        return Reply(204)

    async def _remove_one(self, call: Call) -> Reply:
        await self._change(call, remove=(_named(call),))
        return Reply(204)

    def routes(self) -> tuple[Route, ...]:
        paths = (self._resource.path, *self._resource.other_paths)
        return tuple(route for path in paths for route in self._routes(f"{path}/{{id}}/tags"))

    def _routes(self, path: str) -> tuple[Route, ...]:
        name, access, body = self._resource.name.replace("_", " "), Access.PROJECT, TagsBody
        one, guard = f"{path}/{{tag}}", ("If-Match",)
        return (
            Route("GET", path, self._list, access, f"List the tags of a {name}", response=body),
            Route("PUT", path, self._replace, access, f"Replace the tags of a {name}", body, body,
                  headers=guard),
            Route("POST", path, self._add, access, f"Add tags to a {name}", body, body,
                  statuses=(201,), headers=guard),
            Route("DELETE", path, self._remove_all, access, f"Remove all tags of a {name}",
                  statuses=(204,), headers=guard),
            Route("GET", one, self._check, access, f"Whether a {name} has a tag", statuses=(204,)),
            Route("PUT", one, self._add_one, access, f"Add a tag to a {name}", statuses=(201,),
                  headers=guard),
            Route("DELETE", one, self._remove_one, access, f"Remove a tag of a {name}",
                  statuses=(204,), headers=guard),
        )  # fmt: skip

    async def _of(self, call: Call) -> tuple[str, ...]:
        listing.refuse_parameters(call.query)
        try:
            value: Any = await self._resource.visible(call, call.path["id"])
        except NotFound:
            raise missing(self._kind, call.path["id"]) from None
        tags: tuple[str, ...] = value.tags
        return tags

    async def _change(
        self,
        call: Call,
        *,
        replaced: tuple[str, ...] | UnsetType = UNSET,
        add: tuple[str, ...] = (),
        remove: tuple[str, ...] = (),
    ) -> tuple[str, ...]:
        """The tags as they are then."""
        listing.refuse_parameters(call.query)
        caller, id_ = call.caller, call.path["id"]
        sight = await self._resource.sight(call, [id_])
        try:
            self._resource.require_touchable(caller, "update", id_, sight)
        except NotFound:
            raise missing(self._kind, id_) from None
        command = ChangeTags(
            caller=caller,
            kind=self._kind,
            id=id_,
            all=replaced,
            add=add,
            remove=remove,
            if_match=if_match(call),
        )
        tags: tuple[str, ...] = await call.service.commit(command)
        return tags


def _named(call: Call) -> str:
    tag = call.path["tag"]
    if len(tag) > TAG_LENGTH_MAX:
        raise invalid("tag", f"it has more than {TAG_LENGTH_MAX} characters")
    if "\0" in tag:
        raise HTTPBadRequest("A tag has no NUL character in it.")
    return tag
