"""Ports in the Networking API: commands, views, lists."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from netwright.model.containers import Claim
from netwright.model.errors import PortNotFound
from netwright.model.resources import (
    AddressPair,
    DhcpOption,
    FixedIp,
    Network,
    Port,
    SubPortDetail,
    TrunkPlace,
    VifType,
    VnicType,
)
from netwright.model.states import API_STATUS
from netwright.server.api import times
from netwright.server.api.body import Shape
from netwright.server.api.v2 import listing, policy, port_requests, values
from netwright.server.api.v2.claims import ClaimView, claim_view
from netwright.server.api.v2.dns import DnsAssignment, assignments
from netwright.server.api.v2.port_requests import (
    WIRE,
    PortCreation,
    PortCreationBody,
    PortUpdate,
    PortUpdateBody,
)
from netwright.server.api.v2.resource import Resource
from netwright.server.api.v2.rows import How, Made, moment
from netwright.server.api.v2.sight import Sight
from netwright.server.commands import (
    Caller,
    Command,
    CreatePorts,
    DeletePorts,
    UpdatePorts,
)
from netwright.server.each import each


class TrunkDetails(msgspec.Struct, frozen=True, kw_only=True):
    """Of a trunk's parent, what an instance's VLAN interfaces are set up by."""

    trunk_id: str
    sub_ports: tuple[SubPortDetail, ...]


def _trunk_details(place: TrunkPlace | None) -> TrunkDetails | None:
    if place is None or place.parent_id is not None:
        return None
    return TrunkDetails(trunk_id=place.trunk_id, sub_ports=place.sub_ports)


class PortView(msgspec.Struct, frozen=True, kw_only=True, rename=WIRE):
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
    ip_allocation: str
    allowed_address_pairs: tuple[AddressPair, ...]
    extra_dhcp_opts: tuple[DhcpOption, ...]
    dns_name: str
    dns_domain: str
    dns_assignment: tuple[DnsAssignment, ...]
    data_plane_status: str | None
    propagate_uplink_status: bool
    port_security_enabled: bool
    security_groups: tuple[str, ...]
    device_id: str
    device_owner: str
    claim: ClaimView | None
    qos_policy_id: str | None
    trunk_details: TrunkDetails | None
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
    "trunk_details": Made(_trunk_details, "trunk", TrunkPlace | None),
    "claim": Made(claim_view, "claim", Claim | None),
    "dns_assignment": Made(
        assignments,
        "fixed_ips",
        tuple[FixedIp, ...],
        beside=(("dns_name", str), ("dns_domain", str)),
    ),
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


class Ports(Resource[Port, PortCreation, PortUpdate]):
    name = "port"
    collection = "ports"
    value_type = Port
    not_found = PortNotFound
    view_type = PortView
    create_shape = Shape[Any](PortCreationBody, wrapped=True, read_only=_ATTRIBUTES)
    update_shape = Shape[Any](PortUpdateBody, wrapped=True, read_only=_ATTRIBUTES, changes=True)
    change_type = PortUpdate
    shown = _SHOWN
    listable = listing.Listable(
        collection=collection,
        filters={
            **listing.NAMED_FILTERS,
            "unique_name": listing.text,
            "network_id": listing.text,
            "status": listing.text,
            "admin_state_up": listing.boolean,
            "mac_address": values.mac,
            "fixed_ips": listing.fixed_ips,
            "security_groups": listing.text,
            "device_id": listing.text,
            "device_owner": listing.text,
            "binding:host_id": listing.text,
            "ip_allocation": listing.text,
            **listing.STANDARD_FILTERS,
        },
        sort_keys=listing.NAMED_SORT_KEYS
        | {"network_id", "status", "admin_state_up", "mac_address", "device_id", "device_owner"}
        | {"ip_allocation"},
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
            caller=caller, drafts=each(self.collection, items, partial(port_requests.draft, caller))
        )

    def networks_to_create(self, items: Iterable[PortCreation]) -> Iterable[str]:
        claiming = (
            item for item in items if policy.network_owners_part(port_requests.claims(item))
        )
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
        return UpdatePorts(caller=caller, changes=(port_requests.change(id_, item, if_match),))

    def networks_to_change(
        self, values: Iterable[Port], items: Iterable[PortUpdate]
    ) -> Iterable[str]:
        if any(policy.network_owners_part(port_requests.claims(item)) for item in items):
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
        shown = partial(policy.shows, caller, "port")
        binding = value.active_binding
        host_id, vif_type, vif_details = (
            _UNBOUND if binding is None else (binding.host, binding.vif_type, binding.vif_details)
        )
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
            ip_allocation=value.ip_allocation,
            allowed_address_pairs=value.allowed_address_pairs,
            extra_dhcp_opts=value.extra_dhcp_opts,
            dns_name=value.dns_name,
            dns_domain=value.dns_domain,
            dns_assignment=assignments(value.fixed_ips, value.dns_name, value.dns_domain),
            data_plane_status=value.data_plane_status,
            propagate_uplink_status=value.propagate_uplink_status,
            port_security_enabled=value.port_security_enabled,
            security_groups=value.security_groups or (),
            device_id=value.device_id,
            device_owner=value.device_owner,
            claim=claim_view(value.claim),
            qos_policy_id=value.qos_policy_id,
            trunk_details=_trunk_details(value.trunk),
            vnic_type=value.vnic_type,
            host_id=host_id if shown("binding:host_id") else UNSET,
            vif_type=vif_type if shown("binding:vif_type") else UNSET,
            vif_details=vif_details if shown("binding:vif_details") else UNSET,
            profile=value.profile if shown("binding:profile") else UNSET,
            tags=value.tags,
            revision_number=value.revision_number,
            created_at=times.moment(value.created_at),
            updated_at=times.moment(value.updated_at),
        )


def _require_network_owner(
    caller: Caller, action: str, item: PortCreation | PortUpdate, network: Network | None
) -> None:
    if not caller.is_admin:
        owns = network is not None and caller.may_touch(network.project_id)
        policy.require_network_owner(caller, action, port_requests.claims(item), owns=owns)
