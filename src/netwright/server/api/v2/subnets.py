"""Subnets in the Networking API: form of requests, commands, views."""

import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from netwright.model.errors import BadRequest, SubnetNotFound
from netwright.model.resources import HostRoute, Network, Pool, Subnet
from netwright.model.sharing import is_shared_with
from netwright.server.api import times
from netwright.server.api.body import Shape
from netwright.server.api.errors import invalid
from netwright.server.api.v2 import listing, policy, values
from netwright.server.api.v2.resource import Resource
from netwright.server.api.v2.rows import How, moment
from netwright.server.api.v2.sight import Sight
from netwright.server.api.v2.values import Body, HandedOver, Name, ProjectId, Text, Uuid, project_of
from netwright.server.commands import (
    Caller,
    Command,
    CreateSubnets,
    DeleteSubnet,
    SubnetDraft,
    UpdateSubnet,
)
from netwright.server.each import each
from netwright.server.subnets import check_slaac

Ipv6Mode = Literal["slaac", "dhcpv6-stateful", "dhcpv6-stateless"]


class PoolBody(Body, frozen=True, kw_only=True):
    start: Text
    end: Text


class RouteBody(Body, frozen=True, kw_only=True):
    destination: Text
    nexthop: Text


Pools = Annotated[tuple[PoolBody, ...], Meta(max_length=256)]
Nameservers = Annotated[tuple[Text, ...], Meta(max_length=20)]
ServiceTypes = Annotated[tuple[Name, ...], Meta(max_length=100)]
Routes = Annotated[tuple[RouteBody, ...], Meta(max_length=100)]


class SubnetCreation(Body, frozen=True, kw_only=True):
    network_id: Uuid
    ip_version: Literal[4, 6]
    cidr: Text | None = None
    name: Name = ""
    description: Name = ""
    gateway_ip: Text | UnsetType | None = UNSET
    allocation_pools: Pools | UnsetType | None = UNSET
    enable_dhcp: bool = True
    dns_nameservers: Nameservers | None = None
    host_routes: Routes | None = None
    ipv6_address_mode: Ipv6Mode | None = None
    ipv6_ra_mode: Ipv6Mode | None = None
    subnetpool_id: Uuid | None = None
    use_default_subnetpool: bool = False
    prefixlen: Annotated[int, Meta(ge=0, le=2**31 - 1)] | None = None
    service_types: ServiceTypes | None = ()
    segment_id: Uuid | None = None
    project_id: ProjectId | UnsetType = UNSET
    tenant_id: ProjectId | UnsetType = UNSET
    handed_over: HandedOver | UnsetType | None = UNSET


class SubnetChange(Body, frozen=True, kw_only=True):
    name: Name | UnsetType = UNSET
    description: Name | UnsetType = UNSET
    gateway_ip: Text | UnsetType | None = UNSET
    allocation_pools: Pools | UnsetType = UNSET
    enable_dhcp: bool | UnsetType = UNSET
    dns_nameservers: Nameservers | UnsetType | None = UNSET
    host_routes: Routes | UnsetType | None = UNSET
    service_types: ServiceTypes | UnsetType | None = UNSET
    segment_id: Uuid | UnsetType | None = UNSET


class SubnetCreationBody(Body, frozen=True, kw_only=True):
    subnet: SubnetCreation | UnsetType = UNSET
    subnets: tuple[SubnetCreation, ...] | UnsetType = UNSET


class SubnetChangeBody(Body, frozen=True, kw_only=True):
    subnet: SubnetChange


class SubnetView(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    network_id: str
    name: str
    description: str
    project_id: str
    tenant_id: str
    ip_version: int
    cidr: str
    gateway_ip: str | None
    allocation_pools: tuple[Pool, ...]
    enable_dhcp: bool
    dns_nameservers: tuple[str, ...]
    host_routes: tuple[HostRoute, ...]
    ipv6_address_mode: str | None
    ipv6_ra_mode: str | None
    subnetpool_id: str | None
    service_types: tuple[str, ...]
    segment_id: str | UnsetType | None = UNSET
    tags: tuple[str, ...]
    revision_number: int
    created_at: datetime
    updated_at: datetime


_OWNERS = ("network:", "compute:", "neutron:", "baremetal:", "trunk:", "container:")
_ATTRIBUTES = frozenset(SubnetView.__struct_encode_fields__)
_HIDDEN = frozenset({"shared", "prefixlen", "use_default_subnetpool"})
_READ_ONLY = _ATTRIBUTES | _HIDDEN


def _cidr(name: str, value: str) -> str:
    return str(values.cidr(name, value))


def _gateway_filter(name: str, value: str) -> str:
    """An address; nothing asks for subnets without a gateway."""
    return values.address(name, value) if value else ""


_SHOWN: How = {
    "tenant_id": "project_id",
    "created_at": moment("created_at"),
    "updated_at": moment("updated_at"),
}


class Subnets(Resource[Subnet, SubnetCreation, SubnetChange]):
    name = "subnet"
    collection = "subnets"
    value_type = Subnet
    not_found = SubnetNotFound
    view_type = SubnetView
    create_shape = Shape[Any](SubnetCreationBody, wrapped=True, read_only=_READ_ONLY)
    update_shape = Shape[Any](SubnetChangeBody, wrapped=True, read_only=_READ_ONLY, changes=True)
    change_type = SubnetChange
    shown = _SHOWN
    listable = listing.Listable(
        collection=collection,
        filters={
            **listing.NAMED_FILTERS,
            "network_id": listing.text,
            "ip_version": listing.integer,
            "cidr": _cidr,
            "gateway_ip": _gateway_filter,
            "enable_dhcp": listing.boolean,
            "ipv6_address_mode": listing.text,
            "ipv6_ra_mode": listing.text,
            "subnetpool_id": listing.text,
            "segment_id": listing.text,
            "shared": listing.boolean,
            **listing.STANDARD_FILTERS,
        },
        sort_keys=listing.NAMED_SORT_KEYS
        | {
            "network_id",
            "ip_version",
            "cidr",
            "gateway_ip",
            "enable_dhcp",
            "ipv6_address_mode",
            "ipv6_ra_mode",
            "subnetpool_id",
            "segment_id",
        },
    )

    def creation(
        self,
        caller: Caller,
        items: Sequence[SubnetCreation],
        networks: Mapping[str, Network],  # noqa: ARG002
    ) -> Command:
        return CreateSubnets(
            caller=caller, drafts=each(self.collection, items, partial(_draft, caller))
        )

    def change(
        self,
        caller: Caller,
        id_: str,
        item: SubnetChange,
        if_match: int | None,
        sight: Sight[Subnet],  # noqa: ARG002
    ) -> Command:
        gateway = item.gateway_ip
        return UpdateSubnet(
            caller=caller,
            id=id_,
            name=item.name,
            description=item.description,
            gateway_ip=values.address("gateway_ip", gateway)
            if isinstance(gateway, str)
            else gateway,
            allocation_pools=UNSET
            if item.allocation_pools is UNSET
            else _pools(item.allocation_pools),
            enable_dhcp=item.enable_dhcp,
            dns_nameservers=UNSET
            if item.dns_nameservers is UNSET
            else _nameservers(item.dns_nameservers),
            host_routes=UNSET if item.host_routes is UNSET else host_routes(item.host_routes),
            service_types=UNSET
            if item.service_types is UNSET
            else _service_types(item.service_types),
            segment_id=item.segment_id,
            if_match=if_match,
        )

    def deletion(self, caller: Caller, id_: str, if_match: int | None) -> Command:
        return DeleteSubnet(caller=caller, id=id_, if_match=if_match)

    def may_see(self, caller: Caller, value: Subnet, networks: Mapping[str, Network]) -> bool:
        if caller.may_touch(value.project_id):
            return True
        network = networks.get(value.network_id)
        return network is not None and is_shared_with(network, caller.project_id)

    def networks_to_see(self, caller: Caller, values: Iterable[Subnet]) -> Iterable[str]:
        return (one.network_id for one in values if not caller.may_touch(one.project_id))

    def view(self, caller: Caller, value: Subnet) -> SubnetView:
        return SubnetView(
            id=value.id,
            network_id=value.network_id,
            name=value.name,
            description=value.description,
            project_id=value.project_id,
            tenant_id=value.project_id,
            ip_version=value.ip_version,
            cidr=value.cidr,
            gateway_ip=value.gateway_ip,
            allocation_pools=value.allocation_pools,
            enable_dhcp=value.enable_dhcp,
            dns_nameservers=value.dns_nameservers,
            host_routes=value.host_routes,
            ipv6_address_mode=value.ipv6_address_mode,
            ipv6_ra_mode=value.ipv6_ra_mode,
            tags=value.tags,
            subnetpool_id=value.subnetpool_id,
            service_types=value.service_types,
            segment_id=value.segment_id if policy.shows(caller, "subnet", "segment_id") else UNSET,
            revision_number=value.revision_number,
            created_at=times.moment(value.created_at),
            updated_at=times.moment(value.updated_at),
        )


def _draft(caller: Caller, item: SubnetCreation) -> SubnetDraft:
    _check_source(item)
    prefix = None if item.cidr is None else _prefix(item.cidr, item.ip_version)
    _check_ipv6_modes(item)
    if prefix is not None:
        check_slaac(str(prefix), item.ipv6_address_mode)
    gateway, pools = item.gateway_ip, item.allocation_pools
    identity = values.identity(item.handed_over)
    return SubnetDraft(
        id=identity.id,
        is_chosen=identity.is_chosen,
        tags=identity.tags,
        project_id=project_of(caller, item.project_id, item.tenant_id),
        network_id=item.network_id,
        cidr="" if prefix is None else str(prefix),
        ip_version=item.ip_version,
        name=item.name,
        description=item.description,
        gateway_ip=_gateway(gateway, item.ip_version) if isinstance(gateway, str) else gateway,
        allocation_pools=UNSET if pools is UNSET or pools is None else _pools(pools, prefix),
        enable_dhcp=item.enable_dhcp,
        dns_nameservers=_nameservers(item.dns_nameservers),
        host_routes=host_routes(item.host_routes),
        ipv6_address_mode=item.ipv6_address_mode,
        ipv6_ra_mode=item.ipv6_ra_mode,
        subnetpool_id=item.subnetpool_id,
        use_default_subnetpool=item.use_default_subnetpool,
        prefixlen=item.prefixlen,
        service_types=_service_types(item.service_types),
        segment_id=item.segment_id,
    )


def _check_source(item: SubnetCreation) -> None:
    """A prefix is named, or comes from one pool."""
    is_pooled = item.subnetpool_id is not None or item.use_default_subnetpool
    if item.subnetpool_id is not None and item.use_default_subnetpool:
        raise _bad("subnetpool_id and use_default_subnetpool cannot both be specified")
    if item.cidr is not None and item.prefixlen is not None:
        raise _bad("cidr and prefixlen must not be supplied together")
    if item.cidr is None and not is_pooled:
        raise invalid("cidr", "a subnet needs one, or a subnetpool_id to take it from")
    if item.cidr is None and isinstance(item.allocation_pools, tuple):
        raise _bad("allocation_pools allowed only for specific subnet requests: name a cidr too")


def _bad(reason: str) -> BadRequest:
    return BadRequest(f"Bad subnets request: {reason}.")


def _prefix(text: str, version: int) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    prefix = values.cidr("cidr", text, strict=False)  # as by Neutron
    if prefix.version != version:
        raise invalid("cidr", f"'{text}' is no prefix of ip_version {version}")
    if prefix.prefixlen == 0 or prefix.is_multicast or prefix.is_loopback:
        raise invalid("cidr", f"'{text}' holds no addresses that hosts could have")
    return prefix


def _check_ipv6_modes(item: SubnetCreation) -> None:
    modes = {item.ipv6_ra_mode, item.ipv6_address_mode} - {None}
    if not modes:
        return
    name = "ipv6_address_mode" if item.ipv6_address_mode else "ipv6_ra_mode"
    if item.ip_version == 4:  # noqa: PLR2004
        raise invalid(name, "it cannot be set when ip_version is 4")
    if not item.enable_dhcp:
        raise invalid(name, "it cannot be set when enable_dhcp is false")
    if len(modes) > 1:
        raise invalid(name, "ipv6_address_mode and ipv6_ra_mode must be the same")


def _gateway(text: str, ip_version: int) -> str:
    gateway = values.ip("gateway_ip", text)
    if gateway.version != ip_version:
        raise invalid("gateway_ip", f"'{text}' does not match the ip_version {ip_version}")
    return str(gateway)


def _pools(
    pools: Sequence[PoolBody],
    prefix: ipaddress.IPv4Network | ipaddress.IPv6Network | None = None,
) -> tuple[Pool, ...]:
    return tuple(_pool(pool, prefix) for pool in pools)


def _pool(pool: PoolBody, prefix: ipaddress.IPv4Network | ipaddress.IPv6Network | None) -> Pool:
    start = values.ip("allocation_pools", pool.start)
    end = values.ip("allocation_pools", pool.end)
    if start.version != end.version or int(start) > int(end):
        raise invalid("allocation_pools", f"{start}-{end} is not first and last of a range")
    if prefix is not None and start.version != prefix.version:
        raise invalid("allocation_pools", f"{start}-{end} is not of ip_version {prefix.version}")
    return Pool(start=str(start), end=str(end))


def _service_types(given: Sequence[str] | None) -> tuple[str, ...]:
    """Owners of ports, as Neutron knows them, each once. Raises InvalidInput."""
    for one in given or ():
        if not one.startswith(_OWNERS):
            raise invalid(
                "service_types", f"'{one}' is no owner of ports: those begin with {_OWNERS}"
            )
    return tuple(dict.fromkeys(given or ()))


def _nameservers(nameservers: Sequence[str] | None) -> tuple[str, ...]:
    found = tuple(values.address("dns_nameservers", item) for item in nameservers or ())
    if len(set(found)) != len(found):
        raise invalid("dns_nameservers", "one server is named twice")
    return found


def host_routes(
    routes: Sequence[RouteBody] | None, attribute: str = "host_routes"
) -> tuple[HostRoute, ...]:
    """Routes with canonical prefixes and next hops; raises InvalidInput."""
    found = tuple(_route(route, attribute) for route in routes or ())
    if len(set(found)) != len(found):
        raise invalid(attribute, "one route is given twice")
    return found


def _route(route: RouteBody, attribute: str) -> HostRoute:
    destination = values.cidr(attribute, route.destination)
    nexthop = values.ip(attribute, route.nexthop)
    if destination.version != nexthop.version:
        raise invalid(attribute, f"{nexthop} cannot lead to {destination}")
    return HostRoute(destination=str(destination), nexthop=str(nexthop))
