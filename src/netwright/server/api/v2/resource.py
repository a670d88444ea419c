"""Serves a collection of the Networking API: list, create, show, update, delete."""

import re
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from functools import lru_cache, partial
from types import GenericAlias
from typing import Any, ClassVar, Generic, TypeVar

import msgspec
from msgspec import UNSET
from msgspec.structs import replace

from netwright.model.errors import HTTPBadRequest, NotFound
from netwright.model.operations import Action
from netwright.model.resources import Network
from netwright.server.api.body import Shape
from netwright.server.api.reply import Reply, json_reply
from netwright.server.api.route import Access, Call, Parameter, Route
from netwright.server.api.v2 import listing, policy, values
from netwright.server.api.v2.deferral import ASYNC, deferred
from netwright.server.api.v2.outcomes import LENIENT, described, each_by_itself
from netwright.server.api.v2.pages import ListBody
from netwright.server.api.v2.rows import How, Rows, RowsOfAll, rows
from netwright.server.api.v2.sight import Owned, Sight, networks_of, of_ids
from netwright.server.api.v2.values import Body
from netwright.server.commands import Caller, Command
from netwright.server.each import each
from netwright.server.queries import Page, Query, Reader

BULK_ITEMS_MAX = 1000
_IF_MATCH = re.compile(rb'"?revision_number=([0-9]{1,18})"?')

Value = TypeVar("Value", bound=Owned)
Creation = TypeVar("Creation", bound=Body)
Change = TypeVar("Change", bound=Body)


class Resource(ABC, Generic[Value, Creation, Change]):
    """A resource: how it is asked for, read and shown. Subclasses hold no state."""

    name: ClassVar[str]
    collection: ClassVar[str]
    is_changeable: ClassVar[bool] = True
    listable: ClassVar[listing.Listable]
    value_type: ClassVar[type[Any]]
    not_found: ClassVar[type[NotFound]]
    create_shape: ClassVar[Shape[Any]]
    update_shape: ClassVar[Shape[Any]]
    change_type: ClassVar[type[Body]]
    view_type: ClassVar[type[msgspec.Struct]]
    shown: ClassVar[How | None] = None
    """How a list's rows are made of what is stored; None: by way of the values, as `view` says."""

    @abstractmethod
    def creation(
        self, caller: Caller, items: Sequence[Creation], networks: Mapping[str, Network]
    ) -> Command:
        """The command that makes the items; raises what the request did wrong."""

    @abstractmethod
    def change(
        self, caller: Caller, id_: str, item: Change, if_match: int | None, sight: Sight[Value]
    ) -> Command:
        """The command that changes a resource; raises what the request did wrong."""

    @abstractmethod
    def deletion(self, caller: Caller, id_: str, if_match: int | None) -> Command:
        """The command that deletes a resource."""

    def may_see(self, caller: Caller, value: Value, networks: Mapping[str, Network]) -> bool:  # noqa: ARG002
        """Whether the caller may know of it; what is another project's is not found."""
        return caller.may_touch(value.project_id)

    def networks_to_see(self, caller: Caller, values: Iterable[Value]) -> Iterable[str]:  # noqa: ARG002
        """The networks that say whether the caller may see these."""
        return ()

    def networks_to_create(self, items: Iterable[Creation]) -> Iterable[str]:  # noqa: ARG002
        """The networks whose owner may make such items, and others may not."""
        return ()

    def networks_to_change(
        self,
        values: Iterable[Value],  # noqa: ARG002
        items: Iterable[Change],  # noqa: ARG002
    ) -> Iterable[str]:
        """The networks whose owner may make such changes, and others may not."""
        return ()

    @abstractmethod
    def view(self, caller: Caller, value: Value) -> msgspec.Struct:
        """The value as this caller sees it, with the API's names."""

    async def views(self, call: Call, found: Sequence[Value]) -> Sequence[msgspec.Struct]:
        """The values as the caller sees them, with what must be read for that."""
        return [self.view(call.caller, each) for each in found]

    def pages(self, call: Call, query: Query, rows: Rows) -> AsyncIterator[Page[Any]]:
        """A list in pages, of what `rows` shows."""
        return call.service.reader.pages(self.value_type, query, rows.type)

    def created_status(self, command: Command, made: Sequence[Value]) -> int:  # noqa: ARG002
        """201; a resource that can be found instead of made says 200 then."""
        return 201

    async def was_made(self, command: Command, reader: Reader) -> None:
        """Called once the command is done, before the reply: to log what may surprise."""

    # -- the five operations

    async def list_many(self, call: Call) -> Reply:
        caller = call.caller
        project_id = None if caller.sees_all else caller.project_id
        request = listing.parse(self.listable, call.query, project_id)
        wanted = (attribute for attribute, _ in request.query.filters)
        policy.require_admin_to_filter(caller, self.name, wanted)
        rows = self.rows(caller, request.fields)
        pages = self.pages(call, request.query, rows)
        url = f"{call.base_url}{self.path}"
        body = ListBody(self.collection, request, rows, url, call.query)
        first = await anext(pages)  # with what is wrong, if anything is
        if first.more:
            return Reply(200, parts=body.parts(first, pages))
        return Reply(200, body.part(first))

    def rows(self, caller: Caller, fields: frozenset[str]) -> Rows:
        """How a list's rows come to be shown to this caller, or these fields of them."""
        if self.shown is None:
            return Rows(
                self.value_type,
                lambda found: [listing.project(self.view(caller, each), fields) for each in found],
            )
        hidden = {
            name
            for name in policy.ADMIN_ONLY_SHOWN.get(self.name, ())
            if not policy.shows(caller, self.name, name)
        }
        names = [
            name
            for name in self.view_type.__struct_encode_fields__
            if (not fields or name in fields) and name not in hidden
        ]
        return _rows(type(self), tuple(names)).of(caller.project_id)

    async def create(self, call: Call) -> Reply:
        listing.refuse_parameters(call.query)
        body = self.create_shape.decode(await call.body())
        one, many = getattr(body, self.name), getattr(body, self.collection)
        if (one is UNSET) == (many is UNSET):
            raise HTTPBadRequest(
                f"Unable to find '{self.name}' in request body: it needs"
                f" either '{self.name}' or '{self.collection}'."
            )
        items: Sequence[Creation] = (one,) if many is UNSET else many
        self.check_number(items, "makes")
        each(self.collection, items, check_name)
        networks = await self.networks_claimed(call, items)
        if ASYNC in call.preferences:
            return await self._create_later(call, items, networks, many=many is not UNSET)
        if many is not UNSET and LENIENT in call.preferences:
            attempts = [partial(self._make_one, call, item, networks) for item in items]
            return await each_by_itself(self.collection, attempts)
        status, made = await self._make(call, items, networks)
        views = await self.views(call, made)
        if many is UNSET:
            return json_reply({self.name: views[0]}, status)
        return json_reply({self.collection: views}, status)

    async def _make(
        self, call: Call, items: Sequence[Creation], networks: Mapping[str, Network]
    ) -> tuple[int, Sequence[Value]]:
        """Make the items, all or none; the status and what was made."""
        command = self._creating(call.caller, items, networks)
        made: Sequence[Value] = await call.service.commit(command)
        await self.was_made(command, call.service.reader)
        return self.created_status(command, made), made

    def _creating(
        self, caller: Caller, items: Sequence[Creation], networks: Mapping[str, Network]
    ) -> Command:
        """The command that makes the items; raises what the caller may not."""
        if not caller.is_admin:
            each(self.collection, items, partial(self._require_creatable, caller))
        return self.creation(caller, items, networks)

    async def _create_later(
        self,
        call: Call,
        items: Sequence[Creation],
        networks: Mapping[str, Network],
        *,
        many: bool,
    ) -> Reply:
        parts = [(item,) for item in items] if LENIENT in call.preferences else [items]
        prepare = [partial(self._creating, call.caller, part, networks) for part in parts]
        return await deferred(call, self.collection, Action.CREATE, prepare, many=many)

    def _require_creatable(self, caller: Caller, item: Creation) -> None:
        policy.require_admin_to_create(caller, self.name, given(item))

    async def _make_one(
        self, call: Call, item: Creation, networks: Mapping[str, Network]
    ) -> Mapping[str, Any]:
        status, made = await self._make(call, (item,), networks)
        (view,) = await self.views(call, made)
        return {"status": status, self.name: view}

    async def show(self, call: Call) -> Reply:
        fields = listing.fields_of(call.query)
        value = await self.visible(call, call.path["id"])
        (view,) = await self.views(call, (value,))
        return json_reply({self.name: listing.project(view, fields)})

    async def update(self, call: Call) -> Reply:
        listing.refuse_parameters(call.query)
        revision = if_match(call)
        body = self.update_shape.decode(await call.body())
        item: Change = getattr(body, self.name)
        check_name(item)
        id_ = call.path["id"]
        sight = await self.sight(call, [id_], [item])
        change = partial(self.changing, call.caller, id_, item, revision, sight)
        if ASYNC in call.preferences:
            return await deferred(call, self.collection, Action.UPDATE, [change], many=False)
        changed: Sequence[Value] = await call.service.commit(change())
        (view,) = await self.views(call, changed[:1])
        return json_reply({self.name: view})

    async def delete(self, call: Call) -> Reply:
        listing.refuse_parameters(call.query)
        id_ = call.path["id"]
        sight = await self.sight(call, [id_])
        deletion = partial(self.deleting, call.caller, id_, if_match(call), sight)
        if ASYNC in call.preferences:
            return await deferred(call, self.collection, Action.DELETE, [deletion], many=False)
        await call.service.commit(deletion())
        return Reply(204)

    # -- what the operations, and `bulk`, are made of

    async def sight(
        self, call: Call, ids: Sequence[str], items: Sequence[Change] = ()
    ) -> Sight[Value]:
        """What a request about these resources is held to, in two reads at most."""
        forms = [id_ for id_ in ids if values.is_uuid(id_)]
        if call.caller.is_admin or not forms:
            return Sight({}, {})
        reader = call.service.reader
        known: Sequence[Value] = await reader.many(self.value_type, of_ids(forms))
        wanted = (
            *self.networks_to_see(call.caller, known),
            *self.networks_to_change(known, items),
        )
        return Sight({value.id: value for value in known}, await networks_of(reader, wanted))

    async def networks_claimed(
        self, call: Call, items: Sequence[Creation]
    ) -> Mapping[str, Network]:
        """The networks that say whether the caller may make such items."""
        if call.caller.is_admin:
            return {}
        return await networks_of(call.service.reader, self.networks_to_create(items))

    def changing(
        self, caller: Caller, id_: str, item: Change, if_match: int | None, sight: Sight[Value]
    ) -> Command:
        """The command that changes a resource; raises what the caller may not."""
        self._require_form(id_)
        if not caller.is_admin:
            value = self._owned(caller, "update", id_, sight)
            seen = given(self.view(caller, value))
            policy.require_admin_to_update(caller, self.name, given(item), seen)
            item = self._without(item, policy.reserved(caller, "update", self.name))
        return self.change(caller, id_, item, if_match, sight)

    def deleting(
        self, caller: Caller, id_: str, if_match: int | None, sight: Sight[Value]
    ) -> Command:
        """The command that deletes a resource; raises what the caller may not."""
        self.require_touchable(caller, "delete", id_, sight)
        return self.deletion(caller, id_, if_match)

    def require_touchable(self, caller: Caller, action: str, id_: str, sight: Sight[Value]) -> None:
        """Raises the resource's NotFound, or Denied, when the caller may not do this to it."""
        self._require_form(id_)
        if not caller.is_admin:
            self._owned(caller, action, id_, sight)

    def check_number(self, items: Sequence[object], does: str) -> None:
        if not 1 <= len(items) <= BULK_ITEMS_MAX:
            raise HTTPBadRequest(
                f"A request {does} 1 to {BULK_ITEMS_MAX} {self.collection}, not {len(items)}."
            )

    def missing(self, id_: str) -> NotFound:
        said = self.name.replace("_", " ").capitalize()
        return self.not_found(f"{said} {id_} could not be found.")

    @property
    def path(self) -> str:
        """Where the collection is: its name in bodies has `_` where its path has `-`."""
        return f"/v2.0/{self.collection.replace('_', '-')}"

    @property
    def other_paths(self) -> tuple[str, ...]:
        """Where clients look for its tags, too."""
        return ()

    def routes(self) -> tuple[Route, ...]:
        path, name, access = self.path, self.name, Access.PROJECT
        word, words = name.replace("_", " "), self.collection.replace("_", " ")
        view = self.view_type
        one, page = {name: view}, {self.collection: GenericAlias(list, (view,))}
        fields = (Parameter("fields", repeated=True),)
        lenient, guard = described(self.collection, name, view), ("If-Match",)
        create, update = self.create_shape.type, self.update_shape.type
        a = "an" if name[0] in "aeiou" else "a"
        return (
            Route("GET", path, self.list_many, access, f"List {words}", response=page,
                  parameters=list_parameters(self.listable)),
            Route("POST", path, self.create, access, f"Create {a} {word}, or many", create,
                  (one, page), statuses=(201,), lenient=lenient),
            Route("GET", f"{path}/{{id}}", self.show, access, f"Show {a} {word}",
                  response=one, parameters=fields),
            Route("DELETE", f"{path}/{{id}}", self.delete, access, f"Delete {a} {word}",
                  statuses=(204,), headers=guard),
            *((Route("PUT", f"{path}/{{id}}", self.update, access, f"Change {a} {word}", update,
                     one, headers=guard),) if self.is_changeable else ()),
        )  # fmt: skip

    async def visible(self, call: Call, id_: str) -> Value:
        """The resource, if the caller may see it; raises its NotFound."""
        reader = call.service.reader
        value: Value | None = (
            await reader.one(self.value_type, id_) if values.is_uuid(id_) else None
        )
        if value is None:
            raise self.missing(id_)
        networks = await networks_of(reader, self.networks_to_see(call.caller, (value,)))
        if not self.may_see(call.caller, value, networks):
            raise self.missing(id_)
        return value

    def _owned(self, caller: Caller, action: str, id_: str, sight: Sight[Value]) -> Value:
        """What is another's is not found, or, if it is shared with the caller, denied."""
        value = sight.values.get(id_)
        if value is None or not self.may_see(caller, value, sight.networks):
            raise self.missing(id_)
        policy.require_touchable(caller, action, self.name, value.project_id)
        return value

    def _without(self, item: Change, reserved: frozenset[str]) -> Change:
        """What is reserved changes nothing now, and must not undo what others change meanwhile."""
        names = zip(item.__struct_fields__, item.__struct_encode_fields__, strict=True)
        return replace(item, **{field: UNSET for field, wire in names if wire in reserved})

    def _require_form(self, id_: str) -> None:
        if not values.is_uuid(id_):
            raise self.missing(id_)


@lru_cache(maxsize=256)
def _rows(resource: type[Resource[Any, Any, Any]], names: tuple[str, ...]) -> RowsOfAll:
    assert resource.shown is not None
    return rows(resource.value_type, resource.shown, names)


def list_parameters(listable: listing.Listable) -> tuple[Parameter, ...]:
    """What a list can be asked with."""
    return (
        *(Parameter(name, repeated=True) for name in sorted(listable.filters)),
        Parameter("fields", repeated=True),
        Parameter("sort_key", repeated=True),
        Parameter("sort_dir", repeated=True),
        Parameter("limit", int),
        Parameter("marker"),
        Parameter("page_reverse", bool),
    )


def given(item: msgspec.Struct) -> Mapping[str, Any]:
    """The attributes that a request sets, or a view shows, by the API's names."""
    return {
        wire: getattr(item, field)
        for field, wire in zip(item.__struct_fields__, item.__struct_encode_fields__, strict=True)
        if getattr(item, field) is not UNSET
    }


def check_name(item: Body) -> None:
    """Raises InvalidInput when its name cannot be told from another by who reads it."""
    name = getattr(item, "name", UNSET)
    if isinstance(name, str) and name:
        values.check_name("name", name)


def if_match(call: Call) -> int | None:
    """The revision that the caller saw: `If-Match: revision_number=N` (RFC 9110, 13.1.1)."""
    header = call.headers.get(b"if-match")
    if header is None:
        return None
    match = _IF_MATCH.fullmatch(header.strip())
    if match is None:
        raise HTTPBadRequest(
            f"If-Match is {header.decode('latin-1')!r}, which names no revision.",
            next="Send If-Match: revision_number=N.",
        )
    return int(match[1])
