"""Requests for ports in the Networking API: their form, and the drafts and changes they ask for."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, UnsetType

from netwright.model.errors import HTTPBadRequest
from netwright.model.resources import VnicType
from netwright.server.api.errors import invalid
from netwright.server.api.ids import new_id
from netwright.server.api.v2 import dhcp_options, dns, values
from netwright.server.api.v2.dhcp_options import DhcpOptions
from netwright.server.api.v2.resource import given
from netwright.server.api.v2.values import (
    Body,
    HandedOver,
    Name,
    ProjectId,
    Tag,
    Text,
    Uuid,
    project_of,
)
from netwright.server.commands import AddressWish, Caller, PairWish, PortChange, PortDraft
from netwright.server.ports.macs import first_candidate

WIRE = {
    "host_id": "binding:host_id",
    "vif_type": "binding:vif_type",
    "vif_details": "binding:vif_details",
    "vnic_type": "binding:vnic_type",
    "profile": "binding:profile",
}
"""Attributes whose names in the API are no names here."""


class FixedIpBody(Body, frozen=True, kw_only=True):
    subnet_id: Uuid | None = None
    ip_address: Text | None = None


class PairBody(Body, frozen=True, kw_only=True):
    ip_address: Text
    mac_address: Text | None = None


FixedIps = Annotated[tuple[FixedIpBody, ...], Meta(max_length=32)]
Pairs = Annotated[tuple[PairBody, ...], Meta(max_length=128)]
DataPlaneStatus = Literal["ACTIVE", "DOWN"]
Groups = Annotated[tuple[Uuid, ...], Meta(max_length=128)]


class PortCreation(Body, frozen=True, kw_only=True, rename=WIRE):
    network_id: Uuid | UnsetType = UNSET
    network_labels: str | UnsetType = UNSET
    name: Name = ""
    unique_name: Annotated[str, Meta(min_length=1, max_length=255)] | None = None
    description: Name = ""
    admin_state_up: bool = True
    device_id: Name = ""
    device_owner: Name = ""
    mac_address: Text | UnsetType | None = UNSET
    fixed_ips: FixedIps | UnsetType | None = UNSET
    allowed_address_pairs: Pairs | UnsetType | None = UNSET
    extra_dhcp_opts: DhcpOptions | None = None
    dns_name: str = ""
    dns_domain: str = ""
    propagate_uplink_status: bool = True
    port_security_enabled: bool | UnsetType = UNSET
    security_groups: Groups | UnsetType | None = UNSET
    qos_policy_id: Uuid | None = None
    vnic_type: VnicType = VnicType.NORMAL
    host_id: Name | UnsetType | None = UNSET
    profile: dict[str, Any] | UnsetType | None = UNSET
    tags: tuple[Tag, ...] = ()
    project_id: ProjectId | UnsetType = UNSET
    tenant_id: ProjectId | UnsetType = UNSET
    handed_over: HandedOver | UnsetType | None = UNSET


class PortUpdate(Body, frozen=True, kw_only=True, rename=WIRE):
    name: Name | UnsetType = UNSET
    description: Name | UnsetType = UNSET
    admin_state_up: bool | UnsetType = UNSET
    device_id: Name | UnsetType | None = UNSET
    device_owner: Name | UnsetType | None = UNSET
    mac_address: Text | UnsetType | None = UNSET
    fixed_ips: FixedIps | UnsetType | None = UNSET
    allowed_address_pairs: Pairs | UnsetType | None = UNSET
    extra_dhcp_opts: DhcpOptions | UnsetType | None = UNSET
    dns_name: str | UnsetType = UNSET
    dns_domain: str | UnsetType = UNSET
    data_plane_status: DataPlaneStatus | UnsetType | None = UNSET
    propagate_uplink_status: bool | UnsetType = UNSET
    port_security_enabled: bool | UnsetType = UNSET
    security_groups: Groups | UnsetType | None = UNSET
    qos_policy_id: Uuid | UnsetType | None = UNSET
    vnic_type: VnicType | UnsetType = UNSET
    host_id: Name | UnsetType | None = UNSET
    profile: dict[str, Any] | UnsetType | None = UNSET


class PortCreationBody(Body, frozen=True, kw_only=True):
    port: PortCreation | UnsetType = UNSET
    ports: tuple[PortCreation, ...] | UnsetType = UNSET


class PortUpdateBody(Body, frozen=True, kw_only=True):
    port: PortUpdate


def draft(caller: Caller, item: PortCreation) -> PortDraft:
    """What is to be made, with an id of its own. Raises InvalidInput, HTTPBadRequest."""
    mac, fixed_ips, pairs = item.mac_address, item.fixed_ips, item.allowed_address_pairs
    identity = values.identity(item.handed_over)
    return PortDraft(
        id=identity.id,
        is_chosen=identity.is_chosen,
        project_id=project_of(caller, item.project_id, item.tenant_id),
        network_id=item.network_id or "",
        network_labels=_selector(item),
        name=item.name,
        unique_name=item.unique_name,
        description=item.description,
        tags=values.tags((*item.tags, *identity.tags)),
        admin_state_up=item.admin_state_up,
        device_id=item.device_id,
        device_owner=item.device_owner,
        mac_address=values.mac("mac_address", mac) if isinstance(mac, str) else None,
        fixed_ips=UNSET
        if fixed_ips is UNSET or fixed_ips is None
        else wishes("fixed_ips", fixed_ips),
        allowed_address_pairs=() if pairs is UNSET or pairs is None else _pairs(pairs),
        extra_dhcp_opts=dhcp_options.wishes(item.extra_dhcp_opts),
        dns_name=dns.name(item.dns_name),
        dns_domain=dns.domain(item.dns_domain),
        propagate_uplink_status=item.propagate_uplink_status,
        port_security_enabled=item.port_security_enabled,
        security_groups=values.or_unset(_each_once(item.security_groups), UNSET),
        qos_policy_id=item.qos_policy_id,
        vnic_type=item.vnic_type,
        profile=_profile(item.profile),
        host=item.host_id if isinstance(item.host_id, str) else "",
    )


def change(id_: str, item: PortUpdate, if_match: int | None) -> PortChange:
    """What is to be changed of a port. Raises InvalidInput."""
    mac, fixed_ips, pairs = item.mac_address, item.fixed_ips, item.allowed_address_pairs
    return PortChange(
        id=id_,
        name=item.name,
        description=item.description,
        admin_state_up=item.admin_state_up,
        device_id=values.or_unset(item.device_id, ""),
        device_owner=values.or_unset(item.device_owner, ""),
        mac_address=UNSET if mac is UNSET else _new_mac(mac),
        fixed_ips=UNSET if fixed_ips is UNSET else wishes("fixed_ips", fixed_ips or ()),
        allowed_address_pairs=UNSET if pairs is UNSET else _pairs(pairs or ()),
        extra_dhcp_opts=dhcp_options.wishes(item.extra_dhcp_opts),
        dns_name=dns.or_unset(dns.name, item.dns_name),
        dns_domain=dns.or_unset(dns.domain, item.dns_domain),
        data_plane_status=item.data_plane_status,
        propagate_uplink_status=item.propagate_uplink_status,
        port_security_enabled=item.port_security_enabled,
        security_groups=values.or_unset(_each_once(item.security_groups), ()),
        qos_policy_id=item.qos_policy_id,
        vnic_type=item.vnic_type,
        profile=UNSET if item.profile is UNSET else _profile(item.profile),
        host=values.or_unset(item.host_id, ""),
        if_match=if_match,
    )


def _new_mac(mac: str | None) -> str:
    """The MAC that is asked for; null asks for another, which is as new as an id is."""
    return first_candidate(new_id()) if mac is None else values.mac("mac_address", mac)


def _each_once(groups: Groups | UnsetType | None) -> Groups | UnsetType | None:
    """The groups asked for. Raises InvalidInput when one is there twice."""
    if isinstance(groups, tuple) and len(set(groups)) != len(groups):
        raise invalid("security_groups", "one is there twice")
    return groups


def claims(item: PortCreation | PortUpdate) -> Iterable[str]:
    """The attributes that a request sets, and the finer ones that policy knows."""
    yield from given(item)
    if isinstance(item.fixed_ips, tuple) and any(f.ip_address for f in item.fixed_ips):
        yield "fixed_ips:ip_address"
    if isinstance(item.device_owner, str) and item.device_owner.startswith("network:"):
        yield "device_owner:network"


def _selector(item: PortCreation) -> str:
    """The selector of the networks that the port may be put into; "" when it names one."""
    if item.network_labels is UNSET and item.network_id is UNSET:
        raise HTTPBadRequest(
            "Failed to parse request. Required attribute 'network_id' not specified.",
            next="name a network, or select one by network_labels",
        )
    if item.network_labels is UNSET:
        return ""
    if item.network_id is not UNSET:
        raise invalid("network_labels", "it stands in place of network_id, not beside it")
    if item.fixed_ips is not UNSET and item.fixed_ips is not None:
        raise invalid(
            "fixed_ips", "it cannot be asked for where network_labels chooses the network"
        )
    return values.selector("network_labels", item.network_labels)


def wishes(attribute: str, fixed_ips: Sequence[FixedIpBody]) -> tuple[AddressWish, ...]:
    """The addresses asked for, in canonical form. Raises InvalidInput."""
    found = tuple(
        AddressWish(
            subnet_id=item.subnet_id,
            ip_address=None
            if item.ip_address is None
            else values.address(attribute, item.ip_address),
        )
        for item in fixed_ips
    )
    if AddressWish() in found:
        raise invalid(attribute, "an entry names neither subnet_id nor ip_address")
    addresses = [wish.ip_address for wish in found if wish.ip_address is not None]
    if len(set(addresses)) != len(addresses):
        raise invalid(attribute, "one address is asked for twice")
    return found


def _pairs(pairs: Sequence[PairBody]) -> tuple[PairWish, ...]:
    name = "allowed_address_pairs"
    wishes = tuple(
        PairWish(
            ip_address=values.unicast(name, pair.ip_address),
            mac_address=None if pair.mac_address is None else values.mac(name, pair.mac_address),
        )
        for pair in pairs
    )
    if len(set(wishes)) != len(wishes):
        raise invalid(name, "one pair is given twice")
    return wishes


def _profile(value: dict[str, Any] | UnsetType | None) -> Mapping[str, Any]:
    return values.profile("binding:profile", value) if isinstance(value, dict) else {}
