"""What can be asked of the server: one frozen value for each kind of change.

The edge has checked forms and values (types, ranges, canonical addresses, unknown keys) and filled
in who asks; whether the command can be done is decided in the committer, on what is stored. A
command is atomic: all its items or none. Fields left out are `UNSET`.
"""

from collections.abc import Mapping
from typing import Any

from msgspec import UNSET, UnsetType

from netwright.model.resources import (
    HostRoute,
    Pool,
    Segment,
    Value,
    VnicType,
)
from netwright.model.topology import Topology
from netwright.model.wire import DevicesSeen, Heartbeat, HostRegistration, ReportBatch


class Caller(Value, frozen=True, kw_only=True):
    """Who asks: a project, and whether as admin. A host's agent has its host's name."""

    project_id: str
    is_admin: bool = False
    host: str | None = None

    def may_touch(self, project_id: str) -> bool:
        return self.is_admin or self.project_id == project_id


class Command(Value, frozen=True, kw_only=True):
    """The base of all commands."""

    caller: Caller


class NetworkDraft(Value, frozen=True, kw_only=True):
    """A network to be made. Without a segment the server picks one if it can."""

    id: str
    project_id: str
    name: str = ""
    description: str = ""
    admin_state_up: bool = True
    shared: bool = False
    port_security_enabled: bool = True
    mtu: int = 1500
    segment: Segment | None = None


class CreateNetworks(Command, frozen=True, kw_only=True):
    drafts: tuple[NetworkDraft, ...]


class UpdateNetwork(Command, frozen=True, kw_only=True):
    """`if_match` is the revision that the caller saw (RFC 9110, If-Match)."""

    id: str
    name: str | UnsetType = UNSET
    description: str | UnsetType = UNSET
    admin_state_up: bool | UnsetType = UNSET
    shared: bool | UnsetType = UNSET
    port_security_enabled: bool | UnsetType = UNSET
    mtu: int | UnsetType = UNSET
    if_match: int | None = None


class DeleteNetwork(Command, frozen=True, kw_only=True):
    id: str
    if_match: int | None = None


class SubnetDraft(Value, frozen=True, kw_only=True):
    """A subnet to be made; `cidr` is canonical, pools and gateway are UNSET for the defaults.

    Without a CIDR ("") it gets one of its subnet pool, of `prefixlen` bits or the pool's default.
    """

    id: str
    project_id: str
    network_id: str
    cidr: str = ""
    ip_version: int
    name: str = ""
    description: str = ""
    gateway_ip: str | UnsetType | None = UNSET
    allocation_pools: tuple[Pool, ...] | UnsetType = UNSET
    enable_dhcp: bool = True
    dns_nameservers: tuple[str, ...] = ()
    host_routes: tuple[HostRoute, ...] = ()
    ipv6_address_mode: str | None = None
    ipv6_ra_mode: str | None = None
    subnetpool_id: str | None = None
    use_default_subnetpool: bool = False
    prefixlen: int | None = None


class CreateSubnets(Command, frozen=True, kw_only=True):
    drafts: tuple[SubnetDraft, ...]


class UpdateSubnet(Command, frozen=True, kw_only=True):
    id: str
    name: str | UnsetType = UNSET
    description: str | UnsetType = UNSET
    gateway_ip: str | UnsetType | None = UNSET
    allocation_pools: tuple[Pool, ...] | UnsetType = UNSET
    enable_dhcp: bool | UnsetType = UNSET
    dns_nameservers: tuple[str, ...] | UnsetType = UNSET
    host_routes: tuple[HostRoute, ...] | UnsetType = UNSET
    if_match: int | None = None


class DeleteSubnet(Command, frozen=True, kw_only=True):
    id: str
    if_match: int | None = None


class AddressWish(Value, frozen=True, kw_only=True):
    """An address asked for: any of a subnet, an exact one, or an exact one in a subnet."""

    subnet_id: str | None = None
    ip_address: str | None = None


class PairWish(Value, frozen=True, kw_only=True):
    """An allowed address pair; without a MAC it is the port's own."""

    ip_address: str
    mac_address: str | None = None


class PortDraft(Value, frozen=True, kw_only=True):
    """A port to be made. Without `fixed_ips` it gets an address of each IP version there is."""

    id: str
    project_id: str
    network_id: str
    name: str = ""
    unique_name: str | None = None
    description: str = ""
    admin_state_up: bool = True
    device_id: str = ""
    device_owner: str = ""
    mac_address: str | None = None
    fixed_ips: tuple[AddressWish, ...] | UnsetType = UNSET
    allowed_address_pairs: tuple[PairWish, ...] = ()
    port_security_enabled: bool | UnsetType = UNSET
    vnic_type: VnicType = VnicType.NORMAL
    profile: Mapping[str, Any] = {}
    host: str = ""


class CreatePorts(Command, frozen=True, kw_only=True):
    drafts: tuple[PortDraft, ...]


class PortChange(Value, frozen=True, kw_only=True):
    """What shall change in a port. `host` "" unbinds it."""

    id: str
    name: str | UnsetType = UNSET
    description: str | UnsetType = UNSET
    admin_state_up: bool | UnsetType = UNSET
    device_id: str | UnsetType = UNSET
    device_owner: str | UnsetType = UNSET
    mac_address: str | UnsetType = UNSET
    fixed_ips: tuple[AddressWish, ...] | UnsetType = UNSET
    allowed_address_pairs: tuple[PairWish, ...] | UnsetType = UNSET
    port_security_enabled: bool | UnsetType = UNSET
    vnic_type: VnicType | UnsetType = UNSET
    profile: Mapping[str, Any] | UnsetType = UNSET
    host: str | UnsetType = UNSET
    if_match: int | None = None


class UpdatePorts(Command, frozen=True, kw_only=True):
    changes: tuple[PortChange, ...]


class DeletePorts(Command, frozen=True, kw_only=True):
    ids: tuple[str, ...]
    if_match: int | None = None


class Together(Command, frozen=True, kw_only=True):
    """Several commands, decided in order: all of them or none."""

    commands: tuple[Command, ...]


class RegisterHost(Command, frozen=True, kw_only=True):
    host: str
    registration: HostRegistration


class HeartbeatHost(Command, frozen=True, kw_only=True):
    host: str
    heartbeat: Heartbeat


class FenceHost(Command, frozen=True, kw_only=True):
    """An operator's or orchestrator's word that the host is dead (law 5)."""

    host: str
    reason: str


class UnfenceHost(Command, frozen=True, kw_only=True):
    host: str


class DeleteHost(Command, frozen=True, kw_only=True):
    """The host is gone for good; its agent's credential is revoked."""

    host: str


class ApplyReports(Command, frozen=True, kw_only=True):
    batch: ReportBatch


class SeeDevices(Command, frozen=True, kw_only=True):
    host: str
    devices: DevicesSeen


class ReplaceTopology(Command, frozen=True, kw_only=True):
    topology: Topology


class Tick(Command, frozen=True, kw_only=True):
    """Time has passed: hosts fell silent, deadlines went by, addresses have rested.

    `heard` says when hosts were last heard (Unix seconds), of the silent ones and of those whose
    stored time is old; of a host that this process never heard, what is stored stands.
    """

    silent_hosts: tuple[str, ...] = ()
    overdue_ports: tuple[str, ...] = ()
    heard: Mapping[str, float] = {}


# The results that `commit` gives back, by command: the values as they now are stored.
#   Create…/Update…      tuple of Network | Subnet | Port, in the order of the items
#   Delete…, Tick        ()
#   Together             a tuple of its commands' results, in order
#   RegisterHost, HeartbeatHost, FenceHost, UnfenceHost   the Host
#   DeleteHost           how often the host's credential was revoked by now
#   ReplaceTopology      the Topology
#   ApplyReports         ReportResults        SeeDevices   DeviceAnswers
