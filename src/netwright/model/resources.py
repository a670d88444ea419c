"""The nouns: frozen values that every process shares.

Times are Unix seconds. Addresses and MACs are strings in canonical form (RFC 5952, lower case,
colons). `revision_number` counts the changes of one resource, as OpenStack's does; `generation`
counts a port's bindings, so that a report about an older binding is known as such (law 3).
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, TypeAlias

import msgspec

from netwright.model.containers import Claim
from netwright.model.states import AttachmentState, BindingState, Plane, PortState

DEFAULT_PROJECT = "0" * 32
"""Whose a request is that names no project."""


class Value(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=False):
    """The base of all values: immutable, compared by content."""


class NetworkType(StrEnum):
    FLAT = "flat"
    VLAN = "vlan"
    VXLAN = "vxlan"


class VnicType(StrEnum):
    NORMAL = "normal"
    BAREMETAL = "baremetal"


class VifType(StrEnum):
    """How the orchestrator shall plug the device (the Networking API's binding:vif_type)."""

    UNBOUND = "unbound"
    OVS = "ovs"
    OTHER = "other"
    BINDING_FAILED = "binding_failed"


class Segment(Value, frozen=True, kw_only=True):
    """Where a network lives: a physical network and VLAN id (none when flat), or a VNI."""

    network_type: NetworkType
    physical_network: str | None = None
    segmentation_id: int | None = None


class FurtherSegment(Value, frozen=True, kw_only=True):
    """A segment that a network got beside its own (`model.segments`)."""

    id: str
    segment: Segment


ZONE = "zone"
RACK = "rack"
DriftDomain: TypeAlias = str | tuple[str, ...] | None


EVERYBODY = "*"
"""The target of what is shared with all projects."""


class ShareAction(StrEnum):
    """What a share lets its target do; a network's gateways and floating IPs are apart."""

    AS_SHARED = "access_as_shared"
    AS_EXTERNAL = "access_as_external"


class Share(Value, frozen=True, kw_only=True):
    """With which project (or EVERYBODY) a resource is shared, and by whom (`model.sharing`)."""

    id: str
    project_id: str
    action: ShareAction
    target: str


class Network(Value, frozen=True, kw_only=True):
    """A layer 2 network. The address scopes are those of its subnets' pools, by IP version.

    `segment` is its own, `further_segments` are on other physical networks (`model.segments`).
    `external`: routers may have their gateways in it, and floating addresses come of it; of those
    whom its shares say, or of everybody's.
    `availability_zone_hints`: zones where it is wanted, of which it is in all.
    `dns_domain`: the domain that names of its ports are in, with a dot at its end; nobody is told.
    `drift_domain`: how far a container's named port may move: within its zone, its rack, or among
    hosts on these leaves; None: anywhere. `qos_policy_id`: its ports' that have none of
    their own.
    """

    id: str
    project_id: str
    segment: Segment
    further_segments: tuple[FurtherSegment, ...] = ()
    name: str = ""
    description: str = ""
    tags: tuple[str, ...] = ()
    admin_state_up: bool = True
    shared: bool = False
    external: bool = False
    port_security_enabled: bool = True
    mtu: int = 1500
    dns_domain: str = ""
    availability_zone_hints: tuple[str, ...] = ()
    labels: Mapping[str, str] = {}
    drift_domain: DriftDomain = None
    qos_policy_id: str | None = None
    subnets: tuple[str, ...] = ()
    ipv4_address_scope: str | None = None
    ipv6_address_scope: str | None = None
    shares: tuple[Share, ...] = ()
    revision_number: int = 0
    created_at: float
    updated_at: float


class Pool(Value, frozen=True, kw_only=True):
    """An allocation pool: first and last address, both inside."""

    start: str
    end: str


class HostRoute(Value, frozen=True, kw_only=True):
    destination: str
    nexthop: str


class Subnet(Value, frozen=True, kw_only=True):
    """`subnetpool_id` is the pool that its prefix is of, and goes back to; None: of no pool.

    `service_types` are the owners of ports that may have addresses of it by themselves; (): all.
    `segment_id`: the network's segment that it is on; None: on all.
    """

    id: str
    network_id: str
    project_id: str
    cidr: str
    ip_version: int
    gateway_ip: str | None
    allocation_pools: tuple[Pool, ...]
    name: str = ""
    description: str = ""
    tags: tuple[str, ...] = ()
    enable_dhcp: bool = True
    dns_nameservers: tuple[str, ...] = ()
    host_routes: tuple[HostRoute, ...] = ()
    ipv6_address_mode: str | None = None
    ipv6_ra_mode: str | None = None
    subnetpool_id: str | None = None
    service_types: tuple[str, ...] = ()
    segment_id: str | None = None
    revision_number: int = 0
    created_at: float
    updated_at: float


class IpAllocation(StrEnum):
    """When a port gets its addresses: at once, once its host is known, or never."""

    IMMEDIATE = "immediate"
    DEFERRED = "deferred"
    NONE = "none"


class FixedIp(Value, frozen=True, kw_only=True):
    subnet_id: str
    ip_address: str


class AddressPair(Value, frozen=True, kw_only=True):
    """A source that a port may use beside its own: an address or CIDR, with a MAC."""

    ip_address: str
    mac_address: str


class DhcpOption(Value, frozen=True, kw_only=True):
    """What a port's DHCP client is told beside what its subnets say; named as dnsmasq does."""

    opt_name: str
    opt_value: str
    ip_version: int = 4


class Remnant(Value, frozen=True, kw_only=True):
    """What a host may still answer for though the port has it no more, since Unix second `since`.

    It stays the port's, and nobody else's, until the host has shown that it is gone (law 5).
    Allowed address pairs and port security leave none: they permit, but hold nothing, so nobody
    else gets an address because a permission ends.
    """

    addresses: tuple[FixedIp, ...] = ()
    macs: tuple[str, ...] = ()
    since: float


class Prepared(Value, frozen=True, kw_only=True):
    """What a binding that was asked for ahead makes of its port when it is activated."""

    vnic_type: VnicType = VnicType.NORMAL
    profile: Mapping[str, Any] = {}


class Binding(Value, frozen=True, kw_only=True):
    """A port on a host. An inactive one was asked for ahead, is wired ahead, or withdraws.

    `generation` is the port's count when this binding was made, or last lost an address. `cause`
    says why it is down or refused. `device_seen_at` starts the underlay's deadline; `was_up` is set
    once it was up. `stale_wiring`: an earlier binding on this host was not proven withdrawn when
    this one took its place, so the host may answer for the port whatever becomes of this one
    (law 5). `remnant` is what its host wired under earlier generations alone. `prepared`: it was
    asked for beside the active one, as for a live migration, and stays until somebody deletes it.
    """

    host: str
    generation: int
    active: bool
    state: BindingState
    since: float
    vif_type: VifType
    vif_details: Mapping[str, Any] = {}
    cause: str = ""
    device_seen_at: float | None = None
    was_up: bool = False
    stale_wiring: bool = False
    remnant: Remnant | None = None
    prepared: Prepared | None = None

    @property
    def is_standby(self) -> bool:
        """Whether it waits to be activated: its host knows it, and answers for nothing of it."""
        return self.prepared is not None and self.state is not BindingState.WITHDRAWING


class SubPortDetail(Value, frozen=True, kw_only=True):
    """A subport as its parent shows it to whoever sets the instance up."""

    port_id: str
    segmentation_type: str
    segmentation_id: int
    mac_address: str


class TrunkPlace(Value, frozen=True, kw_only=True):
    """A port's place in a trunk: its parent, or a subport whose frames bear a VLAN id there.

    `parent_id` and `segmentation_id` are a subport's alone, `sub_ports` the parent's.
    """

    trunk_id: str
    parent_id: str | None = None
    segmentation_id: int | None = None
    sub_ports: tuple[SubPortDetail, ...] = ()


class Port(Value, frozen=True, kw_only=True):
    """An instance's place in a network: its address and MAC for life, its bindings, its state.

    `was_offered`: a host's agent was told of it before it was ever bound, and may have wired it
    ahead of its binding. `reclaimed`: it took an address or a MAC that rested, so that what it
    gives back rests again. `history_length` counts its transitions, also those dropped since.
    `security_groups` None: it is not filtered, since it was made before there were any, or is a
    device of the network's own; none at all: whatever is not its own DHCP or neighbour discovery is
    dropped. `claim`: whose it is, of a container's port that bears a lasting name or is a pod's.
    `trunk`: its place in one. `dns_name` and `dns_domain` are told to its DHCP client, and to no
    DNS server; `data_plane_status` is what somebody says who watches the network;
    `propagate_uplink_status` is for devices whose link may follow their NIC's, of which none are
    wired here.
    """

    id: str
    project_id: str
    network_id: str
    mac_address: str
    name: str = ""
    unique_name: str | None = None
    description: str = ""
    tags: tuple[str, ...] = ()
    admin_state_up: bool = True
    device_id: str = ""
    device_owner: str = ""
    fixed_ips: tuple[FixedIp, ...] = ()
    ip_allocation: IpAllocation = IpAllocation.IMMEDIATE
    allowed_address_pairs: tuple[AddressPair, ...] = ()
    extra_dhcp_opts: tuple[DhcpOption, ...] = ()
    dns_name: str = ""
    dns_domain: str = ""
    data_plane_status: str | None = None
    propagate_uplink_status: bool = True
    port_security_enabled: bool = True
    security_groups: tuple[str, ...] | None = None
    vnic_type: VnicType = VnicType.NORMAL
    profile: Mapping[str, Any] = {}
    claim: Claim | None = None
    qos_policy_id: str | None = None
    trunk: TrunkPlace | None = None
    bindings: tuple[Binding, ...] = ()
    generation: int = 0
    ever_bound: bool = False
    was_offered: bool = False
    reclaimed: bool = False
    history_length: int = 0
    state: PortState = PortState.ALLOCATED
    state_since: float
    cause: str = ""
    revision_number: int = 0
    created_at: float
    updated_at: float

    @property
    def is_leaving(self) -> bool:
        """Whether it is deleted, and only withdraws."""
        return self.state is PortState.RELEASING

    @property
    def active_binding(self) -> Binding | None:
        for binding in self.bindings:
            if binding.active:
                return binding
        return None

    def binding_on(self, host: str) -> Binding | None:
        for binding in self.bindings:  # no generator: agents ask this of all ports in each pass
            if binding.host == host:
                return binding
        return None


class AccessPort(Value, frozen=True, kw_only=True):
    """A leaf's interface that a bare-metal machine hangs on, untagged."""

    switch: str
    interface: str


class Attachment(Value, frozen=True, kw_only=True):
    """A network on a host: one, however many of its ports are bound there.

    On a fabric network `vlan` is the network's in the host's VLAN domain, the same for all its
    hosts; `access` are the interfaces of bare metal, which needs no VLAN. `generation` counts the
    attachment's lives, so that a report about an earlier one is known as such (law 3).
    """

    network_id: str
    host: str
    state: AttachmentState
    since: float
    cause: str = ""
    vlan: int | None = None
    access: tuple[AccessPort, ...] = ()
    generation: int = 0


class HostState(StrEnum):
    """What is known of a host's agent and of its fence (law 5)."""

    UP = "up"
    UNKNOWN = "unknown"
    FENCED = "fenced"


class Nic(Value, frozen=True, kw_only=True):
    """A NIC as the agent sees it: link and, in a bond, whether traffic may use it.

    `active` is false for a bond's members that only stand by.
    """

    name: str
    link_up: bool
    forwarding: bool = True
    active: bool = True


class FencedPort(Value, frozen=True, kw_only=True):
    """What a fenced host may still speak as: a port's MAC and addresses, as it had them there."""

    port_id: str
    mac_address: str
    addresses: tuple[str, ...] = ()


class FenceState(StrEnum):
    """How far the fence of one port at one host has come."""

    ASKED = "asked"
    VERIFIED = "verified"
    LIFTING = "lifting"


class PortFence(Value, frozen=True, kw_only=True):
    """A port that left a host while its agent was silent: its leaves drop what it speaks as there.

        asked ─read back on every leaf─▶ verified ─the host's agent: withdrawn─▶ lifting
                                                           no leaf has it any more ─▶ (gone)

    `generation` is that of the binding which was left; `asked_at` in Unix seconds; `cause` says why
    it is not verified. While it is there, the host's agent wires nothing of the port.
    """

    port_id: str
    generation: int
    macs: tuple[str, ...]
    addresses: tuple[str, ...] = ()
    state: FenceState = FenceState.ASKED
    asked_at: float
    since: float
    cause: str = ""

    @property
    def is_wanted(self) -> bool:
        """Whether leaves shall drop it."""
        return self.state is not FenceState.LIFTING


class Host(Value, frozen=True, kw_only=True):
    """A registered host.

    `epoch` names the agent's current life; `conditions` are named facts that never gate a port,
    such as `redundancy lost`, with their causes; `conditions_since` says when each began.
    `neighbours` are what its NICs hear by LLDP, `SWITCH/INTERFACE`.
    `fenced_ports` are those that were bound there when it was fenced, until it is unfenced: what
    its leaves drop of it (law 5). `port_fences` are single ports that left it while it was silent.
    `heard_at` is true when it is told: heartbeats that bring no news are not told of one by one.
    `created_at` is when it first registered, `started_at` when its agent did in its current life;
    0: before servers kept that.
    """

    name: str
    driver: str
    state: HostState
    epoch: str = ""
    physical_networks: Mapping[str, str] = {}
    management_ip: str | None = None
    nics: tuple[Nic, ...] = ()
    conditions: Mapping[str, str] = {}
    conditions_since: Mapping[str, float] = {}
    neighbours: Mapping[str, str] = {}
    fenced_ports: tuple[FencedPort, ...] = ()
    port_fences: tuple[PortFence, ...] = ()
    state_since: float
    heard_at: float
    created_at: float = 0.0
    started_at: float = 0.0

    def fence_of(self, port_id: str) -> PortFence | None:
        return next((one for one in self.port_fences if one.port_id == port_id), None)


class Transition(Value, frozen=True, kw_only=True):
    """One entry of a port's history: what happened, by whom, why, and what became of the port.

    `number` counts a port's entries from 1, so that the oldest one kept tells how many are not.
    `plane` is that of which a host's agent or the fabric controller spoke.
    """

    port_id: str
    number: int
    at: float
    event: str
    actor: str
    host: str | None = None
    generation: int | None = None
    from_state: PortState | None = None
    to_state: PortState
    binding_state: BindingState | None = None
    plane: Plane | None = None
    cause: str = ""
