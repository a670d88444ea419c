"""Segments in the Networking API: form of requests, commands, views. Administrators' alone."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from netwright.model.resources import Network, NetworkType
from netwright.model.segment_errors import SegmentNotFound
from netwright.model.segments import NetworkSegment
from netwright.server.api import times
from netwright.server.api.body import Shape
from netwright.server.api.ids import new_id
from netwright.server.api.v2 import listing, policy, provided
from netwright.server.api.v2.provided import PhysicalNetwork
from netwright.server.api.v2.resource import Resource
from netwright.server.api.v2.sight import Sight
from netwright.server.api.v2.values import Body, Name, ProjectId, Uuid, or_default
from netwright.server.commands import Caller, Command
from netwright.server.each import each
from netwright.server.network_segments.commands import (
    CreateSegments,
    DeleteSegment,
    SegmentDraft,
    UpdateSegment,
)


class SegmentCreation(Body, frozen=True, kw_only=True):
    """Whose it is follows from its network, whoever names a project."""

    network_id: Uuid
    network_type: NetworkType
    physical_network: PhysicalNetwork | UnsetType | None = UNSET
    segmentation_id: int | UnsetType = UNSET
    name: Name | UnsetType | None = UNSET
    description: Name = ""
    project_id: ProjectId | UnsetType = UNSET
    tenant_id: ProjectId | UnsetType = UNSET


class SegmentChange(Body, frozen=True, kw_only=True):
    name: Name | UnsetType | None = UNSET
    description: Name | UnsetType = UNSET


class SegmentCreationBody(Body, frozen=True, kw_only=True):
    segment: SegmentCreation | UnsetType = UNSET
    segments: tuple[SegmentCreation, ...] | UnsetType = UNSET


class SegmentChangeBody(Body, frozen=True, kw_only=True):
    segment: SegmentChange


class SegmentView(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    network_id: str
    network_type: str
    physical_network: str | None
    segmentation_id: int | None
    name: str | None
    description: str
    revision_number: int
    created_at: datetime
    updated_at: datetime


_ATTRIBUTES = frozenset(SegmentView.__struct_encode_fields__)
_READ_ONLY = _ATTRIBUTES | {"project_id", "tenant_id"}
_STANDARD = ("description", "revision_number", "created_at", "updated_at")
_BY_TEXT = ("id", "network_id", "network_type", "physical_network", "name")


class Segments(Resource[Any, SegmentCreation, SegmentChange]):
    name = "segment"
    collection = "segments"
    value_type = NetworkSegment
    not_found = SegmentNotFound
    view_type = SegmentView
    create_shape = Shape[Any](SegmentCreationBody, wrapped=True, read_only=_ATTRIBUTES)
    update_shape = Shape[Any](SegmentChangeBody, wrapped=True, read_only=_READ_ONLY, changes=True)
    change_type = SegmentChange
    listable = listing.Listable(
        collection=collection,
        filters={
            **dict.fromkeys((*_BY_TEXT, "description"), listing.text),
            "revision_number": listing.integer,
            "changed_since": listing.STANDARD_FILTERS["changed_since"],
        },
        sort_keys=frozenset({*_BY_TEXT, "segmentation_id", *_STANDARD}),
    )

    def creation(
        self,
        caller: Caller,
        items: Sequence[SegmentCreation],
        networks: Mapping[str, Network],  # noqa: ARG002
    ) -> Command:
        policy.require_granted(caller, "create_segment")
        return CreateSegments(caller=caller, drafts=each(self.collection, items, _draft))

    def changing(
        self,
        caller: Caller,
        id_: str,
        item: SegmentChange,
        if_match: int | None,
        sight: Sight[Any],
    ) -> Command:
        self._require_form(id_)
        policy.require_granted(caller, "update_segment")
        return self.change(caller, id_, item, if_match, sight)

    def change(
        self,
        caller: Caller,
        id_: str,
        item: SegmentChange,
        if_match: int | None,
        sight: Sight[Any],  # noqa: ARG002
    ) -> Command:
        return UpdateSegment(
            caller=caller, id=id_, name=item.name, description=item.description, if_match=if_match
        )

    def deleting(
        self,
        caller: Caller,
        id_: str,
        if_match: int | None,
        sight: Sight[Any],  # noqa: ARG002
    ) -> Command:
        self._require_form(id_)
        policy.require_granted(caller, "delete_segment")
        return self.deletion(caller, id_, if_match)

    def deletion(self, caller: Caller, id_: str, if_match: int | None) -> Command:
        return DeleteSegment(caller=caller, id=id_, if_match=if_match)

    def may_see(self, caller: Caller, value: Any, networks: Mapping[str, Network]) -> bool:  # noqa: ARG002
        return caller.sees_all

    def view(self, caller: Caller, value: NetworkSegment) -> SegmentView:  # noqa: ARG002 - all see the same
        return SegmentView(
            id=value.id,
            network_id=value.network_id,
            network_type=value.network_type,
            physical_network=value.physical_network,
            segmentation_id=value.segmentation_id,
            name=value.name,
            description=value.description,
            revision_number=value.revision_number,
            created_at=times.moment(value.created_at),
            updated_at=times.moment(value.updated_at),
        )


def _draft(item: SegmentCreation) -> SegmentDraft:
    segment = provided.segment(
        item.network_type, item.physical_network, item.segmentation_id, prefix=""
    )
    assert segment is not None, "its type was said"
    return SegmentDraft(
        id=new_id(),
        network_id=item.network_id,
        segment=segment,
        name=or_default(item.name, None),
        description=item.description,
    )
