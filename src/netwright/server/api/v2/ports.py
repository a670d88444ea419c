"""Ports in the Networking API: form of requests, commands, views."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache, partial
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from netwright.model.errors import HTTPBadRequest, PortNotFound
from netwright.model.resources import AddressPair, FixedIp, Network, Port, VifType, VnicType
from netwright.model.states import API_STATUS
from netwright.server.api.body import Shape
from netwright.server.api.errors import invalid
from netwright.server.api.ids import new_id
from netwright.server.api.v2 import listing, policy, values
from netwright.server.api.v2.resource import Resource, given
from netwright.server.api.v2.rows import How, Made, moment
from netwright.server.api.v2.sight import Sight
from netwright.server.api.v2.values import Body, Name, ProjectId, Tag, Text, Uuid, project_of
from netwright.server.commands import (
    AddressWish,
    Caller,
    Command,
    CreatePorts,
    DeletePorts,
    PairWish,
    PortChange,
    PortDraft,
    UpdatePorts,
)
from netwright.server.each import each

_WIRE = {
    "host_id": "binding:host_id",
    "vif_type": "binding:vif_type",
    "vif_details": "binding:vif_details",
    "vnic_type": "binding:vnic_type",
    "profile": "binding:profile",
}


class FixedIpBody(Body, frozen=True, kw_only=True):
    subnet_id: Uuid | None = None
    ip_address: Text | None = None


class PairBody(Body, frozen=True, kw_only=True):
    ip_address: Text
    mac_address: Text | None = None


FixedIps = Annotated[tuple[FixedIpBody, ...], Meta(max_length=32)]
Pairs = Annotated[tuple[PairBody, ...], Meta(max_length=128)]
Groups = Annotated[tuple[Uuid, ...], Meta(max_length=128)]


class PortCreation(Body, frozen=True, kw_only=True, rename=_WIRE):
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
    port_security_enabled: bool | UnsetType = UNSET
    security_groups: Groups | UnsetType | None = UNSET
    vnic_type: VnicType = VnicType.NORMAL
    host_id: Name | UnsetType | None = UNSET
    profile: dict[str, Any] | UnsetType | None = UNSET
    tags: tuple[Tag, ...] = ()
    project_id: ProjectId | UnsetType = UNSET
    tenant_id: ProjectId | UnsetType = UNSET


class PortUpdate(Body, frozen=True, kw_only=True, rename=_WIRE):
    name: Name | UnsetType = UNSET
    description: Name | UnsetType = UNSET
    admin_state_up: bool | UnsetType = UNSET
    device_id: Name | UnsetType | None = UNSET
    device_owner: Name | UnsetType | None = UNSET
    mac_address: Text | UnsetType = UNSET
    fixed_ips: FixedIps | UnsetType | None = UNSET
    allowed_address_pairs: Pairs | UnsetType | None = UNSET
    port_security_enabled: bool | UnsetType = UNSET
    security_groups: Groups | UnsetType | None = UNSET
    vnic_type: VnicType | UnsetType = UNSET
    host_id: Name | UnsetType | None = UNSET
    profile: dict[str, Any] | UnsetType | None = UNSET


class PortCreationBody(Body, frozen=True, kw_only=True):
    port: PortCreation | UnsetType = UNSET
    ports: tuple[PortCreation, ...] | UnsetType = UNSET


class PortUpdateBody(Body, frozen=True, kw_only=True):
    port: PortUpdate


class PortView(msgspec.Struct, frozen=True, kw_only=True, rename=_WIRE):
    id: str
    network_id: str
    name: str
    unique_name: str | None
    description: str
    project_id: str
    tenant_id: str
    status: str
    admin_state_up: bool
    mac_address: str
    fixed_ips: tuple[FixedIp, ...]
    allowed_address_pairs: tuple[AddressPair, ...]
    port_security_enabled: bool
    security_groups: tuple[str, ...]
    device_id: str
    device_owner: str
    vnic_type: VnicType
    host_id: str | UnsetType = UNSET
    vif_type: str | UnsetType = UNSET
    vif_details: Mapping[str, Any] | UnsetType = UNSET
    profile: Mapping[str, Any] | UnsetType = UNSET
    tags: tuple[str, ...]
    revision_number: int
    created_at: datetime
    updated_at: datetime


_ATTRIBUTES = frozenset(PortView.__struct_encode_fields__)


class _BindingRow(msgspec.Struct, gc=False):
    """What a list shows of a binding."""

    active: bool
    host: str
    vif_type: str
    vif_details: msgspec.Raw = msgspec.Raw(b"{}")


def _of_active_binding(attribute: str, unbound: Any) -> Made:
    def make(bindings: Sequence[_BindingRow]) -> Any:
        for binding in bindings:
            if binding.active:
                return getattr(binding, attribute)
        return unbound

    return Made(make, "bindings", tuple[_BindingRow, ...])


_STATUS = {state.value: status for state, status in API_STATUS.items()}

_SHOWN: How = {
    "tenant_id": "project_id",
    "status": Made(_STATUS.__getitem__, "state", str),
    "security_groups": Made(lambda ids: ids or (), "security_groups", tuple[str, ...] | None),
    "binding:vnic_type": "vnic_type",
    "binding:host_id": _of_active_binding("host", ""),
    "binding:vif_type": _of_active_binding("vif_type", VifType.UNBOUND),
    "binding:vif_details": _of_active_binding("vif_details", {}),
    "binding:profile": "profile",
    "created_at": moment("created_at"),
    "updated_at": moment("updated_at"),
}


_Bound = tuple[str | UnsetType, str | UnsetType, Mapping[str, Any] | UnsetType]
_UNBOUND: _Bound = ("", VifType.UNBOUND, {})
_NOT_SHOWN: _Bound = (UNSET, UNSET, UNSET)


@lru_cache(maxsize=64)  # the ports of a batch share theirs
def _moment(second: int) -> datetime:
    return datetime.fromtimestamp(second, UTC)


class Ports(Resource[Port, PortCreation, PortUpdate]):
    name = "port"
    collection = "ports"
    value_type = Port
    not_found = PortNotFound
    view_type = PortView
    create_shape = Shape[Any](PortCreationBody, wrapped=True, read_only=_ATTRIBUTES)
    update_shape = Shape[Any](PortUpdateBody, wrapped=True, read_only=_ATTRIBUTES)
    change_type = PortUpdate
    shown = _SHOWN
    admin_only = frozenset(
        {"binding:host_id", "binding:vif_type", "binding:vif_details", "binding:profile"}
    )
    listable = listing.Listable(
        collection=collection,
        filters={
            "id": listing.text,
            "name": listing.text,
            "unique_name": listing.text,
            "description": listing.text,
            "network_id": listing.text,
            "project_id": listing.text,
            "tenant_id": listing.text,
            "status": listing.text,
            "admin_state_up": listing.boolean,
            "mac_address": values.mac,
            "fixed_ips": listing.fixed_ips,
            "security_groups": listing.text,
            "device_id": listing.text,
            "device_owner": listing.text,
            "binding:host_id": listing.text,
            "revision_number": listing.integer,
            **listing.STANDARD_FILTERS,
        },
        sort_keys=frozenset(
            {
                *("id", "name", "description", "network_id", "project_id", "tenant_id"),
                *("status", "admin_state_up", "mac_address", "device_id", "device_owner"),
                *("revision_number", "created_at", "updated_at"),
            }
        ),
    )

    def creation(
        self, caller: Caller, items: Sequence[PortCreation], networks: Mapping[str, Network]
    ) -> Command:
        def require_owner(item: PortCreation) -> None:
            network = networks.get(item.network_id) if item.network_id else None
            _require_network_owner(caller, "create", item, network)

        if not caller.is_admin:
            each(self.collection, items, require_owner)
        return CreatePorts(
            caller=caller, drafts=each(self.collection, items, partial(_draft, caller))
        )

    def networks_to_create(self, items: Iterable[PortCreation]) -> Iterable[str]:
        claiming = (item for item in items if policy.network_owners_part(_claims(item)))
        return (item.network_id for item in claiming if item.network_id)

    def change(
        self,
        caller: Caller,
        id_: str,
        item: PortUpdate,
        if_match: int | None,
        sight: Sight[Port],
    ) -> Command:
        if not caller.is_admin:
            network = sight.networks.get(sight.values[id_].network_id)
            _require_network_owner(caller, "update", item, network)
        return UpdatePorts(caller=caller, changes=(_change(id_, item, if_match),))

    def networks_to_change(
        self, values: Iterable[Port], items: Iterable[PortUpdate]
    ) -> Iterable[str]:
        if any(policy.network_owners_part(_claims(item)) for item in items):
            return (port.network_id for port in values)
        return ()

    def deletion(self, caller: Caller, id_: str, if_match: int | None) -> Command:
        return DeletePorts(caller=caller, ids=(id_,), if_match=if_match)

    def may_see(self, caller: Caller, value: Port, networks: Mapping[str, Network]) -> bool:  # noqa: ARG002
        return value.state in API_STATUS and caller.may_touch(value.project_id)

    def created_status(self, command: Command, made: Sequence[Port]) -> int:
        """200 when every port was there already under its unique name."""
        assert isinstance(command, CreatePorts)
        if not any(draft.unique_name for draft in command.drafts):
            return 201
        drafted = {draft.id for draft in command.drafts}
        return 201 if any(port.id in drafted for port in made) else 200

    def view(self, caller: Caller, value: Port) -> PortView:
        binding = value.active_binding if caller.is_admin else None
        host_id, vif_type, vif_details = _UNBOUND if caller.is_admin else _NOT_SHOWN
        if binding is not None:
            host_id, vif_type = binding.host, binding.vif_type
            vif_details = binding.vif_details
        return PortView(
            id=value.id,
            network_id=value.network_id,
            name=value.name,
            unique_name=value.unique_name,
            description=value.description,
            project_id=value.project_id,
            tenant_id=value.project_id,
            status=API_STATUS[value.state],
            admin_state_up=value.admin_state_up,
            mac_address=value.mac_address,
            fixed_ips=value.fixed_ips,
            allowed_address_pairs=value.allowed_address_pairs,
            port_security_enabled=value.port_security_enabled,
            security_groups=value.security_groups or (),
            device_id=value.device_id,
            device_owner=value.device_owner,
            vnic_type=value.vnic_type,
            host_id=host_id,
            vif_type=vif_type,
            vif_details=vif_details,
            profile=value.profile if caller.is_admin else UNSET,
            tags=value.tags,
            revision_number=value.revision_number,
            created_at=_moment(int(value.created_at)),
            updated_at=_moment(int(value.updated_at)),
        )


def _draft(caller: Caller, item: PortCreation) -> PortDraft:
    mac, fixed_ips, pairs = item.mac_address, item.fixed_ips, item.allowed_address_pairs
    return PortDraft(
        id=new_id(),
        project_id=project_of(caller, item.project_id, item.tenant_id),
        network_id=item.network_id or "",
        network_labels=_selector(item),
        name=item.name,
        unique_name=item.unique_name,
        description=item.description,
        tags=values.tags(item.tags),
        admin_state_up=item.admin_state_up,
        device_id=item.device_id,
        device_owner=item.device_owner,
        mac_address=values.mac("mac_address", mac) if isinstance(mac, str) else None,
        fixed_ips=UNSET if fixed_ips is UNSET or fixed_ips is None else _wishes(fixed_ips),
        allowed_address_pairs=() if pairs is UNSET or pairs is None else _pairs(pairs),
        port_security_enabled=item.port_security_enabled,
        security_groups=values.or_unset(item.security_groups, UNSET),
        vnic_type=item.vnic_type,
        profile=_profile(item.profile),
        host=item.host_id if isinstance(item.host_id, str) else "",
    )


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


def _change(id_: str, item: PortUpdate, if_match: int | None) -> PortChange:
    mac, fixed_ips, pairs = item.mac_address, item.fixed_ips, item.allowed_address_pairs
    return PortChange(
        id=id_,
        name=item.name,
        description=item.description,
        admin_state_up=item.admin_state_up,
        device_id=values.or_unset(item.device_id, ""),
        device_owner=values.or_unset(item.device_owner, ""),
        mac_address=UNSET if mac is UNSET else values.mac("mac_address", mac),
        fixed_ips=UNSET if fixed_ips is UNSET else _wishes(fixed_ips or ()),
        allowed_address_pairs=UNSET if pairs is UNSET else _pairs(pairs or ()),
        port_security_enabled=item.port_security_enabled,
        security_groups=values.or_unset(item.security_groups, ()),
        vnic_type=item.vnic_type,
        profile=UNSET if item.profile is UNSET else _profile(item.profile),
        host=values.or_unset(item.host_id, ""),
        if_match=if_match,
    )


def _wishes(fixed_ips: Sequence[FixedIpBody]) -> tuple[AddressWish, ...]:
    wishes = tuple(
        AddressWish(
            subnet_id=item.subnet_id,
            ip_address=None
            if item.ip_address is None
            else values.address("fixed_ips", item.ip_address),
        )
        for item in fixed_ips
    )
    if AddressWish() in wishes:
        raise invalid("fixed_ips", "an entry names neither subnet_id nor ip_address")
    addresses = [wish.ip_address for wish in wishes if wish.ip_address is not None]
    if len(set(addresses)) != len(addresses):
        raise invalid("fixed_ips", "one address is asked for twice")
    return wishes


def _pairs(pairs: Sequence[PairBody]) -> tuple[PairWish, ...]:
    name = "allowed_address_pairs"
    wishes = tuple(
        PairWish(
            ip_address=values.address_or_cidr(name, pair.ip_address),
            mac_address=None if pair.mac_address is None else values.mac(name, pair.mac_address),
        )
        for pair in pairs
    )
    if len(set(wishes)) != len(wishes):
        raise invalid(name, "one pair is given twice")
    return wishes


def _profile(value: dict[str, Any] | UnsetType | None) -> Mapping[str, Any]:
    return values.profile("binding:profile", value) if isinstance(value, dict) else {}


def _require_network_owner(
    caller: Caller, action: str, item: PortCreation | PortUpdate, network: Network | None
) -> None:
    if not caller.is_admin:
        owns = network is not None and caller.may_touch(network.project_id)
        policy.require_network_owner(action, _claims(item), owns=owns)


def _claims(item: PortCreation | PortUpdate) -> Iterable[str]:
    """The attributes that a request sets, and the finer ones that policy knows."""
    yield from given(item)
    if isinstance(item.fixed_ips, tuple) and any(f.ip_address for f in item.fixed_ips):
        yield "fixed_ips:ip_address"
    if isinstance(item.device_owner, str) and item.device_owner.startswith("network:"):
        yield "device_owner:network"
