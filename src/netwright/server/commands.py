"""What can be asked of the server: one frozen value for each kind of change.

The edge has checked forms and values (types, ranges, canonical addresses, unknown keys) and filled
in who asks; whether the command can be done is decided in the committer, on what is stored. A
command is atomic: all its items or none. Fields left out are `UNSET`.
"""

from collections.abc import Mapping
from typing import Any, TypeAlias

from msgspec import UNSET, UnsetType

from netwright.model.operations import Failure, Operation
from netwright.model.resources import (
    DriftDomain,
    FurtherSegment,
    HostRoute,
    Pool,
    Segment,
    Value,
    VnicType,
)
from netwright.model.topology import Topology
from netwright.model.wire import DevicesSeen, Heartbeat, HostRegistration, Kind, ReportBatch


class Rights(Value, frozen=True, kw_only=True):
    """How what a caller may do differs from what members of projects may by default.

    Names of policy's rules (`rights.rules`): attributes that are granted beyond that, actions and
    attributes that are denied, actions that it may do to what is any project's.
    """

    granted: frozenset[str] = frozenset()
    denied: frozenset[str] = frozenset()
    everywhere: frozenset[str] = frozenset()


MEMBERS = Rights()


class Caller(Value, frozen=True, kw_only=True):
    """Who asks: a project, and whether as admin; "" is no project, but the system.

    A host's agent has its host's name; the fabric controller is no project's. `reaches_all`: this
    request may be about any project's resources, though not as an admin's may.
    """

    project_id: str
    is_admin: bool = False
    host: str | None = None
    is_controller: bool = False
    rights: Rights = MEMBERS
    reaches_all: bool = False

    @property
    def sees_all(self) -> bool:
        return self.is_admin or self.reaches_all

    def may_touch(self, project_id: str) -> bool:
        return self.is_admin or self.reaches_all or self.project_id == project_id


class Command(Value, frozen=True, kw_only=True):
    """The base of all commands."""

    caller: Caller


class NetworkDraft(Value, frozen=True, kw_only=True):
    """A network to be made. Without a segment the server picks one if it can.

    `mtu` None is what networks of its kind have. Without a QoS policy it has its project's default.
    """

    id: str
    project_id: str
    is_chosen: bool = False
    tags: tuple[str, ...] = ()
    name: str = ""
    description: str = ""
    admin_state_up: bool = True
    shared: bool = False
    external: bool = False
    port_security_enabled: bool = True
    mtu: int | None = None
    dns_domain: str = ""
    availability_zone_hints: tuple[str, ...] = ()
    labels: Mapping[str, str] = {}
    drift_domain: DriftDomain = None
    qos_policy_id: str | UnsetType | None = UNSET
    segment: Segment | None = None
    further_segments: tuple[FurtherSegment, ...] = ()


class CreateNetworks(Command, frozen=True, kw_only=True):
    drafts: tuple[NetworkDraft, ...]


class UpdateNetwork(Command, frozen=True, kw_only=True):
    """`if_match` is the revision that the caller saw (RFC 9110, If-Match)."""

    id: str
    name: str | UnsetType = UNSET
    description: str | UnsetType = UNSET
    admin_state_up: bool | UnsetType = UNSET
    shared: bool | UnsetType = UNSET
    external: bool | UnsetType = UNSET
    port_security_enabled: bool | UnsetType = UNSET
    mtu: int | UnsetType | None = UNSET
    dns_domain: str | UnsetType = UNSET
    labels: Mapping[str, str] | UnsetType = UNSET
    drift_domain: DriftDomain | UnsetType = UNSET
    qos_policy_id: str | UnsetType | None = UNSET
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
    is_chosen: bool = False
    tags: tuple[str, ...] = ()
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
    service_types: tuple[str, ...] = ()
    segment_id: str | None = None


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
    service_types: tuple[str, ...] | UnsetType = UNSET
    segment_id: str | UnsetType | None = UNSET
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


class DhcpWish(Value, frozen=True, kw_only=True):
    """A DHCP option asked for; without a value the one of its name shall go."""

    opt_name: str
    opt_value: str | None
    ip_version: int = 4


class PortDraft(Value, frozen=True, kw_only=True):
    """A port to be made. Without `fixed_ips` it gets an address of each IP version there is.

    `network_labels` is a selector (`model.labels`) in place of `network_id`, which is "" then.
    Without `security_groups` it is in its project's default group, if it has port security.
    """

    id: str
    project_id: str
    is_chosen: bool = False
    network_id: str
    network_labels: str = ""
    name: str = ""
    unique_name: str | None = None
    description: str = ""
    tags: tuple[str, ...] = ()
    admin_state_up: bool = True
    device_id: str = ""
    device_owner: str = ""
    mac_address: str | None = None
    fixed_ips: tuple[AddressWish, ...] | UnsetType = UNSET
    allowed_address_pairs: tuple[PairWish, ...] = ()
    extra_dhcp_opts: tuple[DhcpWish, ...] = ()
    dns_name: str = ""
    dns_domain: str = ""
    propagate_uplink_status: bool = True
    port_security_enabled: bool | UnsetType = UNSET
    security_groups: tuple[str, ...] | UnsetType = UNSET
    qos_policy_id: str | None = None
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
    extra_dhcp_opts: tuple[DhcpWish, ...] = ()
    dns_name: str | UnsetType = UNSET
    dns_domain: str | UnsetType = UNSET
    data_plane_status: str | UnsetType | None = UNSET
    propagate_uplink_status: bool | UnsetType = UNSET
    port_security_enabled: bool | UnsetType = UNSET
    security_groups: tuple[str, ...] | UnsetType = UNSET
    qos_policy_id: str | UnsetType | None = UNSET
    vnic_type: VnicType | UnsetType = UNSET
    profile: Mapping[str, Any] | UnsetType = UNSET
    host: str | UnsetType = UNSET
    if_match: int | None = None


class UpdatePorts(Command, frozen=True, kw_only=True):
    changes: tuple[PortChange, ...]


class DeletePorts(Command, frozen=True, kw_only=True):
    ids: tuple[str, ...]
    if_match: int | None = None


class PrepareBinding(Command, frozen=True, kw_only=True):
    """An inactive binding beside the port's active one, for when it is activated."""

    port_id: str
    host: str
    vnic_type: VnicType = VnicType.NORMAL
    profile: Mapping[str, Any] = {}


class ChangeBinding(Command, frozen=True, kw_only=True):
    port_id: str
    host: str
    vnic_type: VnicType | UnsetType = UNSET
    profile: Mapping[str, Any] | UnsetType = UNSET


class ActivateBinding(Command, frozen=True, kw_only=True):
    """A port's inactive binding becomes its active one, and the active one inactive."""

    port_id: str
    host: str


class DeleteBinding(Command, frozen=True, kw_only=True):
    port_id: str
    host: str


class ChangeTags(Command, frozen=True, kw_only=True):
    """Replace all tags of a resource, if given; then add some and remove some that are there."""

    kind: Kind
    id: str
    all: tuple[str, ...] | UnsetType = UNSET
    add: tuple[str, ...] = ()
    remove: tuple[str, ...] = ()
    if_match: int | None = None


class SetQuota(Command, frozen=True, kw_only=True):
    """Limits by resource, -1 for none; `check`: refuse one that is exceeded already."""

    project_id: str
    limits: Mapping[str, int]
    check: bool = True


class ResetQuota(Command, frozen=True, kw_only=True):
    """The project has the defaults again."""

    project_id: str


class Together(Command, frozen=True, kw_only=True):
    """Several commands, decided in order: all of them or none.

    `items` are what their sender calls them, if it says: the error of one names it.
    """

    commands: tuple[Command, ...]
    items: tuple[str, ...] = ()


class Refused(Value, frozen=True, kw_only=True):
    """A step that was refused before it came to be decided."""

    failure: Failure


Step: TypeAlias = Command | Refused


class AcceptOperation(Command, frozen=True, kw_only=True):
    """Note that the steps are to be done; the caller has an answer before they are."""

    operation: Operation
    steps: tuple[Step, ...]


class PerformOperation(Command, frozen=True, kw_only=True):
    """Do an operation's steps, unless they were done."""

    id: str
    steps: tuple[Step, ...]


class FailOperation(Command, frozen=True, kw_only=True):
    """An operation cannot be done, by a defect of ours."""

    id: str
    failure: Failure


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

    `old_operations` ended long ago, and are forgotten. `refused_ports` have bindings that the
    server refused; they are tried again, since what stood in the way may be gone.
    `late_operations` and `overdue_attachments` (network, host) wait for the fabric controller.
    `silent_ports` (port, host) left a silent host, whose leaves are to drop them (law 5).
    `expired_claims` are ports that were kept for a container long enough. `interfaces` (port,
    router) were attached before interfaces were ACTIVE (0014).

    `heard` says when hosts were last heard (Unix seconds), of the silent ones and of those whose
    stored time is old; of a host that this process never heard, what is stored stands.
    """

    silent_hosts: tuple[str, ...] = ()
    overdue_ports: tuple[str, ...] = ()
    refused_ports: tuple[str, ...] = ()
    late_operations: tuple[str, ...] = ()
    overdue_attachments: tuple[tuple[str, str], ...] = ()
    silent_ports: tuple[tuple[str, str], ...] = ()
    old_operations: tuple[str, ...] = ()
    expired_claims: tuple[str, ...] = ()
    interfaces: tuple[tuple[str, str], ...] = ()
    heard: Mapping[str, float] = {}


# The results that `commit` gives back, by command: the values as they now are stored.
#   Create…/Update…      tuple of Network | Subnet | Port | SecurityGroup, in the order of the items
#   EnsureDefaultGroup   a tuple of the SecurityGroup, if it was made now
#   AddSecurityGroupRules   tuple of GroupRule, in the order of the rules
#   PrepareBinding, ChangeBinding, ActivateBinding, DeleteBinding   the Port, as (Port,)
#   Delete…, Remove…, Tick, ResetQuota  ()
#   SetQuota             the Quota
#   ChangeTags           the tags, as they are now
#   Together             a tuple of its commands' results, in order
#   RegisterHost, HeartbeatHost, FenceHost, UnfenceHost   the Host
#   Accept-, PerformOperation, FailOperation   the Operation, None when it is not there (any more)
#   ClaimPort            the Port        EndClaim, LetGoOfOwners   ()
#   DeleteHost           how often the host's credential was revoked by now
#   ReplaceTopology      the Topology
#   AskFabric, AnswerOperation   the Operation
#   ApplyReports, ApplyFabricReports   ReportResults        SeeDevices   DeviceAnswers
