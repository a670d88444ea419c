"""Networks in the Networking API: form of requests, commands, views."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Annotated, Any, TypeAlias

import msgspec
import structlog
from msgspec import UNSET, Meta, UnsetType

from netwright.model.errors import NetworkNotFound, Unavailable
from netwright.model.resources import (
    RACK,
    ZONE,
    DriftDomain,
    FurtherSegment,
    Network,
    NetworkType,
    Segment,
    Share,
)
from netwright.model.segments import MTU_MAX
from netwright.model.sharing import is_external_to, is_open_to, is_shared_with
from netwright.model.topology import Name as Leaf
from netwright.server.api import times
from netwright.server.api.body import Shape
from netwright.server.api.errors import invalid
from netwright.server.api.v2 import dns, listing, policy, provided, values
from netwright.server.api.v2.provided import PhysicalNetwork, Segments, ShownSegment
from netwright.server.api.v2.resource import Resource
from netwright.server.api.v2.rows import How, Made, constant, moment
from netwright.server.api.v2.sight import Sight
from netwright.server.api.v2.values import (
    Body,
    HandedOver,
    Name,
    ProjectId,
    Uuid,
    or_default,
    project_of,
)
from netwright.server.commands import (
    Caller,
    Command,
    CreateNetworks,
    DeleteNetwork,
    NetworkDraft,
    UpdateNetwork,
)
from netwright.server.each import each
from netwright.server.queries import Reader
from netwright.server.sharing.keeping import may_use

_log = structlog.get_logger("netwright.server.networks")
_WIRE = {**provided.WIRE, "external": "router:external"}

# 0 asks for the default; below 68 IPv4 cannot work (RFC 791).
Mtu = Annotated[int, Meta(ge=0, le=MTU_MAX)]
WantedDomain: TypeAlias = (
    str | Annotated[tuple[Leaf, ...], Meta(min_length=1, max_length=1000)] | None
)


class NetworkCreation(Body, frozen=True, kw_only=True, rename=_WIRE):
    name: Name = ""
    description: Name = ""
    admin_state_up: bool = True
    shared: bool | UnsetType = UNSET
    external: bool | UnsetType = UNSET
    port_security_enabled: bool = True
    dns_domain: str = ""
    availability_zone_hints: tuple[str, ...] = ()
    mtu: Mtu | UnsetType | None = UNSET
    project_id: ProjectId | UnsetType = UNSET
    tenant_id: ProjectId | UnsetType = UNSET
    network_type: NetworkType | UnsetType | None = UNSET
    physical_network: PhysicalNetwork | UnsetType | None = UNSET
    segmentation_id: int | UnsetType | None = UNSET
    segments: Segments | UnsetType | None = UNSET
    labels: dict[str, str] | UnsetType = UNSET
    drift_domain: WantedDomain | UnsetType = UNSET
    qos_policy_id: Uuid | UnsetType | None = UNSET
    handed_over: HandedOver | UnsetType | None = UNSET


class NetworkChange(Body, frozen=True, kw_only=True, rename=_WIRE):
    name: Name | UnsetType = UNSET
    description: Name | UnsetType = UNSET
    admin_state_up: bool | UnsetType = UNSET
    shared: bool | UnsetType = UNSET
    external: bool | UnsetType = UNSET
    port_security_enabled: bool | UnsetType = UNSET
    dns_domain: str | UnsetType = UNSET
    mtu: Mtu | UnsetType = UNSET
    labels: dict[str, str] | UnsetType = UNSET
    drift_domain: WantedDomain | UnsetType = UNSET
    qos_policy_id: Uuid | UnsetType | None = UNSET


class NetworkCreationBody(Body, frozen=True, kw_only=True):
    network: NetworkCreation | UnsetType = UNSET
    networks: tuple[NetworkCreation, ...] | UnsetType = UNSET


class NetworkChangeBody(Body, frozen=True, kw_only=True):
    network: NetworkChange


class NetworkView(msgspec.Struct, frozen=True, kw_only=True, rename=_WIRE):
    id: str
    name: str
    description: str
    project_id: str
    tenant_id: str
    status: str
    admin_state_up: bool
    shared: bool
    external: bool
    mtu: int
    port_security_enabled: bool
    dns_domain: str
    availability_zone_hints: tuple[str, ...]
    availability_zones: tuple[str, ...]
    labels: Mapping[str, str]
    drift_domain: DriftDomain | UnsetType = UNSET
    qos_policy_id: str | None
    subnets: tuple[str, ...]
    ipv4_address_scope: str | None
    ipv6_address_scope: str | None
    l2_adjacency: bool = True
    network_type: str | UnsetType = UNSET
    physical_network: str | UnsetType | None = UNSET
    segmentation_id: int | UnsetType | None = UNSET
    segments: Sequence[ShownSegment] | UnsetType = UNSET
    tags: tuple[str, ...]
    revision_number: int
    created_at: datetime
    updated_at: datetime


_ATTRIBUTES = frozenset(NetworkView.__struct_encode_fields__)


def _shared_with(shared: bool, shares: tuple[Share, ...], project_id: str) -> bool:  # noqa: FBT001 - a column
    return shared or is_open_to(shares, project_id)


_FURTHER = (("further_segments", tuple[FurtherSegment, ...]),)
_SHOWN: How = {
    "tenant_id": "project_id",
    "status": constant("ACTIVE"),
    "l2_adjacency": Made(lambda further: not further, *_FURTHER[0]),
    "shared": Made(
        _shared_with, "shared", bool, beside=(("shares", tuple[Share, ...]),), by_asker=True
    ),
    "router:external": "external",
    "availability_zones": "availability_zone_hints",
    "provider:network_type": Made(provided.network_type, "segment", Segment, beside=_FURTHER),
    "provider:physical_network": Made(
        provided.physical_network, "segment", Segment, beside=_FURTHER
    ),
    "provider:segmentation_id": Made(provided.segmentation_id, "segment", Segment, beside=_FURTHER),
    "segments": Made(provided.shown, "segment", Segment, beside=_FURTHER),
    "created_at": moment("created_at"),
    "updated_at": moment("updated_at"),
}


class Networks(Resource[Network, NetworkCreation, NetworkChange]):
    name = "network"
    collection = "networks"
    value_type = Network
    not_found = NetworkNotFound
    view_type = NetworkView
    create_shape = Shape[Any](NetworkCreationBody, wrapped=True, read_only=_ATTRIBUTES)
    update_shape = Shape[Any](NetworkChangeBody, wrapped=True, read_only=_ATTRIBUTES, changes=True)
    change_type = NetworkChange
    shown = _SHOWN
    listable = listing.Listable(
        collection=collection,
        filters={
            **listing.NAMED_FILTERS,
            "admin_state_up": listing.boolean,
            "status": listing.text,
            "shared": listing.boolean,
            "router:external": listing.boolean,
            "mtu": listing.integer,
            "labels": values.selector,
            "provider:network_type": listing.text,
            "provider:physical_network": listing.text,
            "provider:segmentation_id": listing.integer,
            **listing.STANDARD_FILTERS,
        },
        sort_keys=listing.NAMED_SORT_KEYS
        | {"admin_state_up", "status", "mtu", "availability_zone_hints"},
    )

    def creation(
        self,
        caller: Caller,
        items: Sequence[NetworkCreation],
        networks: Mapping[str, Network],  # noqa: ARG002
    ) -> Command:
        drafts = each(self.collection, items, partial(_draft, caller))
        return CreateNetworks(caller=caller, drafts=drafts)

    async def was_made(self, command: Command, reader: Reader) -> None:
        if isinstance(command, CreateNetworks):
            await _warn_of_unserved(reader, command.drafts)

    def change(
        self,
        caller: Caller,
        id_: str,
        item: NetworkChange,
        if_match: int | None,
        sight: Sight[Network],  # noqa: ARG002
    ) -> Command:
        return UpdateNetwork(
            caller=caller,
            id=id_,
            name=item.name,
            description=item.description,
            admin_state_up=item.admin_state_up,
            shared=item.shared,
            external=item.external,
            port_security_enabled=item.port_security_enabled,
            dns_domain=dns.or_unset(dns.domain, item.dns_domain),
            mtu=item.mtu if item.mtu is UNSET else _mtu(item.mtu),
            labels=item.labels if item.labels is UNSET else values.labels("labels", item.labels),
            drift_domain=_domain(item.drift_domain),
            qos_policy_id=item.qos_policy_id,
            if_match=if_match,
        )

    def deletion(self, caller: Caller, id_: str, if_match: int | None) -> Command:
        return DeleteNetwork(caller=caller, id=id_, if_match=if_match)

    def may_see(self, caller: Caller, value: Network, networks: Mapping[str, Network]) -> bool:  # noqa: ARG002
        return may_use(caller, value) or is_external_to(value, caller.project_id)

    def view(self, caller: Caller, value: Network) -> NetworkView:
        own, further = value.segment, value.further_segments
        shown = partial(policy.shows, caller, "network")
        return NetworkView(
            id=value.id,
            name=value.name,
            description=value.description,
            project_id=value.project_id,
            tenant_id=value.project_id,
            status="ACTIVE",
            admin_state_up=value.admin_state_up,
            shared=is_shared_with(value, caller.project_id),
            external=value.external,
            mtu=value.mtu,
            port_security_enabled=value.port_security_enabled,
            dns_domain=value.dns_domain,
            availability_zone_hints=value.availability_zone_hints,
            availability_zones=value.availability_zone_hints,
            labels=value.labels,
            drift_domain=value.drift_domain if shown("drift_domain") else UNSET,
            qos_policy_id=value.qos_policy_id,
            subnets=value.subnets,
            ipv4_address_scope=value.ipv4_address_scope,
            ipv6_address_scope=value.ipv6_address_scope,
            l2_adjacency=not further,
            network_type=(
                provided.network_type(own, further) if shown("provider:network_type") else UNSET
            ),
            physical_network=(
                provided.physical_network(own, further)
                if shown("provider:physical_network")
                else UNSET
            ),
            segmentation_id=(
                provided.segmentation_id(own, further)
                if shown("provider:segmentation_id")
                else UNSET
            ),
            segments=provided.shown(own, further) if shown("segments") else UNSET,
            tags=value.tags,
            revision_number=value.revision_number,
            created_at=times.moment(value.created_at),
            updated_at=times.moment(value.updated_at),
        )


def _draft(caller: Caller, item: NetworkCreation) -> NetworkDraft:
    identity = values.identity(item.handed_over)
    alone = provided.segment(item.network_type, item.physical_network, item.segmentation_id)
    own, further = provided.several(alone, item.segments)
    return NetworkDraft(
        id=identity.id,
        is_chosen=identity.is_chosen,
        tags=identity.tags,
        project_id=project_of(caller, item.project_id, item.tenant_id),
        name=item.name,
        description=item.description,
        admin_state_up=item.admin_state_up,
        shared=or_default(item.shared, default=False),
        external=or_default(item.external, default=False),
        port_security_enabled=item.port_security_enabled,
        dns_domain=dns.domain(item.dns_domain),
        availability_zone_hints=values.zone_hints(item.availability_zone_hints),
        mtu=_mtu(or_default(item.mtu, 0)),
        labels=values.labels("labels", or_default(item.labels, {})),
        drift_domain=or_default(_domain(item.drift_domain), None),
        qos_policy_id=item.qos_policy_id,
        segment=own,
        further_segments=further,
    )


def _domain(wanted: WantedDomain | UnsetType) -> DriftDomain | UnsetType:
    if isinstance(wanted, str) and wanted not in {ZONE, RACK}:
        raise invalid("drift_domain", f"'{wanted}' is neither {ZONE}, {RACK}, nor a list of leaves")
    if isinstance(wanted, tuple) and len(set(wanted)) != len(wanted):
        raise invalid("drift_domain", "it names a leaf twice")
    return wanted


async def _warn_of_unserved(reader: Reader, drafts: Sequence[NetworkDraft]) -> None:
    """Log physical networks that no host has. It is no error: a network may come before its hosts.

    A mistyped name is refused where `vlan_ranges` says which there are.
    """
    wanted = {draft.segment.physical_network for draft in drafts if draft.segment} - {None}
    wanted |= {one.segment.physical_network for draft in drafts for one in draft.further_segments}
    if not wanted:
        return
    try:
        served = {name for host in await reader.hosts() for name in host.physical_networks}
    except Unavailable:
        return  # they are made all the same
    for name in sorted(str(name) for name in wanted - served):
        _log.warning(
            "a network is made on a physical network that no host has",
            physical_network=name,
            hosts_have=sorted(served),
            next="start agents with --physical-network, or name yours in vlan_ranges",
        )


def _mtu(value: int) -> int | None:
    if 0 < value < 68:  # noqa: PLR2004 - RFC 791
        raise invalid("mtu", f"{value} is below 68, the least that IPv4 works with (RFC 791)")
    return value or None
