"""Trunks in the Networking API: form of requests, commands, views; their subports."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from netwright.model.errors import NotFound
from netwright.model.resources import Network
from netwright.model.trunk_errors import TrunkNotFound
from netwright.model.trunks import SubPort, Trunk
from netwright.server.api import times
from netwright.server.api.body import Shape
from netwright.server.api.errors import invalid
from netwright.server.api.ids import new_id
from netwright.server.api.reply import Reply, json_reply
from netwright.server.api.route import Access, Call, Route
from netwright.server.api.v2 import listing
from netwright.server.api.v2.resource import Resource
from netwright.server.api.v2.sight import Sight
from netwright.server.api.v2.values import Body, Name, ProjectId, Uuid, project_of
from netwright.server.commands import Caller, Command
from netwright.server.each import each
from netwright.server.trunks.commands import (
    AddSubPorts,
    CreateTrunks,
    DeleteTrunk,
    RemoveSubPorts,
    SubPortWish,
    TrunkDraft,
    UpdateTrunk,
)


class SubPortBody(Body, frozen=True, kw_only=True):
    port_id: Uuid
    segmentation_type: Literal["vlan", "inherit"] | UnsetType = UNSET
    segmentation_id: int | UnsetType = UNSET


class LeavingBody(Body, frozen=True, kw_only=True):
    """A subport that is to be none: what else is said of it is what was shown."""

    port_id: Uuid
    segmentation_type: str | UnsetType = UNSET
    segmentation_id: int | UnsetType = UNSET


class TrunkCreation(Body, frozen=True, kw_only=True):
    port_id: Uuid
    name: Name = ""
    description: Name = ""
    admin_state_up: bool = True
    sub_ports: tuple[SubPortBody, ...] = ()
    project_id: ProjectId | UnsetType = UNSET
    tenant_id: ProjectId | UnsetType = UNSET


class TrunkChange(Body, frozen=True, kw_only=True):
    name: Name | UnsetType = UNSET
    description: Name | UnsetType = UNSET
    admin_state_up: bool | UnsetType = UNSET


class TrunkCreationBody(Body, frozen=True, kw_only=True):
    trunk: TrunkCreation | UnsetType = UNSET
    trunks: tuple[TrunkCreation, ...] | UnsetType = UNSET


class TrunkChangeBody(Body, frozen=True, kw_only=True):
    trunk: TrunkChange


class AddedBody(Body, frozen=True, kw_only=True):
    sub_ports: tuple[SubPortBody, ...]


class RemovedBody(Body, frozen=True, kw_only=True):
    sub_ports: tuple[LeavingBody, ...]


class TrunkView(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    name: str
    description: str
    project_id: str
    tenant_id: str
    admin_state_up: bool
    port_id: str
    status: str
    sub_ports: tuple[SubPort, ...]
    tags: tuple[str, ...]
    revision_number: int
    created_at: datetime
    updated_at: datetime


class SubPortsView(msgspec.Struct, frozen=True, kw_only=True):
    sub_ports: tuple[SubPort, ...]


_ATTRIBUTES = frozenset(TrunkView.__struct_encode_fields__)
_ADDED, _REMOVED = Shape(AddedBody), Shape(RemovedBody)


class Trunks(Resource[Trunk, TrunkCreation, TrunkChange]):
    name = "trunk"
    collection = "trunks"
    value_type = Trunk
    not_found = TrunkNotFound
    view_type = TrunkView
    create_shape = Shape[Any](TrunkCreationBody, wrapped=True, read_only=_ATTRIBUTES)
    update_shape = Shape[Any](TrunkChangeBody, wrapped=True, read_only=_ATTRIBUTES, changes=True)
    change_type = TrunkChange
    listable = listing.Listable(
        collection=collection,
        filters={
            **listing.NAMED_FILTERS,
            "admin_state_up": listing.boolean,
            "port_id": listing.text,
            "status": listing.text,
            **listing.STANDARD_FILTERS,
        },
        sort_keys=listing.NAMED_SORT_KEYS | {"admin_state_up", "port_id", "status"},
    )

    def creation(
        self,
        caller: Caller,
        items: Sequence[TrunkCreation],
        networks: Mapping[str, Network],  # noqa: ARG002
    ) -> Command:
        drafts = each(self.collection, items, partial(_draft, caller))
        return CreateTrunks(caller=caller, drafts=drafts)

    def change(
        self,
        caller: Caller,
        id_: str,
        item: TrunkChange,
        if_match: int | None,
        sight: Sight[Trunk],  # noqa: ARG002
    ) -> Command:
        return UpdateTrunk(
            caller=caller,
            id=id_,
            name=item.name,
            description=item.description,
            admin_state_up=item.admin_state_up,
            if_match=if_match,
        )

    def deletion(self, caller: Caller, id_: str, if_match: int | None) -> Command:
        return DeleteTrunk(caller=caller, id=id_, if_match=if_match)

    def missing(self, id_: str) -> NotFound:
        return self.not_found(f"Trunk {id_} could not be found.")

    def view(self, caller: Caller, value: Trunk) -> TrunkView:  # noqa: ARG002 - all see the same
        return TrunkView(
            id=value.id,
            name=value.name,
            description=value.description,
            project_id=value.project_id,
            tenant_id=value.project_id,
            admin_state_up=value.admin_state_up,
            port_id=value.port_id,
            status=value.status,
            sub_ports=value.sub_ports,
            tags=value.tags,
            revision_number=value.revision_number,
            created_at=times.moment(value.created_at),
            updated_at=times.moment(value.updated_at),
        )

    def routes(self) -> tuple[Route, ...]:
        one, access = f"{self.path}/{{id}}", Access.PROJECT
        return (
            *super().routes(),
            Route("PUT", f"{one}/add_subports", self.add, access, "Add subports to a trunk",
                  _ADDED.type, TrunkView),
            Route("PUT", f"{one}/remove_subports", self.remove, access,
                  "Remove subports from a trunk", _REMOVED.type, TrunkView),
            Route("GET", f"{one}/get_subports", self.list_sub_ports, access,
                  "List a trunk's subports", response=SubPortsView),
        )  # fmt: skip

    async def add(self, call: Call) -> Reply:
        """The trunk itself, not wrapped in its name, as Neutron answers."""
        listing.refuse_parameters(call.query)
        wishes = _wishes(_ADDED.decode(await call.body()).sub_ports)
        id_ = await self._changeable(call)
        command = AddSubPorts(caller=call.caller, trunk_id=id_, sub_ports=wishes)
        (trunk,) = await call.service.commit(command)
        return json_reply(self.view(call.caller, trunk))

    async def remove(self, call: Call) -> Reply:
        listing.refuse_parameters(call.query)
        leaving = _REMOVED.decode(await call.body()).sub_ports
        id_ = await self._changeable(call)
        command = RemoveSubPorts(
            caller=call.caller, trunk_id=id_, port_ids=tuple(one.port_id for one in leaving)
        )
        (trunk,) = await call.service.commit(command)
        return json_reply(self.view(call.caller, trunk))

    async def list_sub_ports(self, call: Call) -> Reply:
        listing.refuse_parameters(call.query)
        trunk = await self.visible(call, call.path["id"])
        return json_reply(SubPortsView(sub_ports=trunk.sub_ports))

    async def _changeable(self, call: Call) -> str:
        """The trunk's id, if the caller may change it."""
        id_ = call.path["id"]
        self.require_touchable(call.caller, "update", id_, await self.sight(call, [id_]))
        return id_


def _draft(caller: Caller, item: TrunkCreation) -> TrunkDraft:
    return TrunkDraft(
        id=new_id(),
        project_id=project_of(caller, item.project_id, item.tenant_id),
        port_id=item.port_id,
        name=item.name,
        description=item.description,
        admin_state_up=item.admin_state_up,
        sub_ports=_wishes(item.sub_ports),
    )


def _wishes(items: Sequence[SubPortBody]) -> tuple[SubPortWish, ...]:
    """Raises InvalidInput."""
    wishes = tuple(map(_wish, items))
    if len({wish.port_id for wish in wishes}) != len(wishes):
        raise invalid("sub_ports", "one port is named twice")
    vlans = [wish.segmentation_id for wish in wishes if wish.segmentation_id is not None]
    if len(set(vlans)) != len(vlans):
        raise invalid("sub_ports", "a segmentation_id is not unique")
    return wishes


def _wish(item: SubPortBody) -> SubPortWish:
    kind, vlan = item.segmentation_type, item.segmentation_id
    if kind == "inherit":
        if vlan is not UNSET:
            raise invalid("sub_ports", "what is inherited has no segmentation_id of its own")
        return SubPortWish(port_id=item.port_id)
    if kind is UNSET or vlan is UNSET:
        raise invalid(
            "sub_ports",
            f"subport {item.port_id} is missing segmentation information: it needs both "
            "segmentation_type and segmentation_id",
        )
    if not 1 <= vlan <= 4094:  # noqa: PLR2004 - IEEE 802.1Q
        raise invalid("sub_ports", f"{vlan} is no VLAN id: 1 to 4094 are")
    return SubPortWish(port_id=item.port_id, segmentation_id=vlan)
