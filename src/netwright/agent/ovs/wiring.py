"""What the plan is told: this host's local configuration, and the endpoints to wire. Pure values.

The agent's main loop converts the server's ports and networks into `Endpoint`s; nothing here
depends on the server's model.
"""

import functools
import ipaddress
import re
from enum import StrEnum
from typing import Literal

import msgspec

from netwright.agent.members import NO_MEMBERSHIPS, Memberships
from netwright.agent.ovs.flows import Match, parsed_address

VLAN_MIN = 1
VLAN_MAX = 4094

IP_VERSIONS = (4, 6)

_MAC = re.compile(r"[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){5}")


class NetworkSegment(msgspec.Struct, frozen=True, order=True):
    """A network's place on the wire: a physical network, and a VLAN id or None for `flat`."""

    physical_network: str
    vlan: int | None = None

    def __post_init__(self) -> None:
        if self.vlan is not None and not VLAN_MIN <= self.vlan <= VLAN_MAX:
            raise ValueError(
                f"VLAN {self.vlan} of {self.physical_network} is not in {VLAN_MIN}..{VLAN_MAX}"
            )

    def __str__(self) -> str:
        return f"{self.physical_network}/{'flat' if self.vlan is None else self.vlan}"


class AddressPair(msgspec.Struct, frozen=True):
    """An address or prefix that an endpoint may also use; `mac` None means the endpoint's own."""

    cidr: str
    mac: str | None = None

    def __post_init__(self) -> None:
        ipaddress.ip_network(self.cidr, strict=False)
        if self.mac is not None:
            _check_mac(self.mac)


class Permit(msgspec.Struct, frozen=True, order=True, kw_only=True):
    """What a filtered endpoint may send (`ingress` False) or get, as far as one match can say it.

    `fields` are of a match, beside the ethertype's; `remote_group` names the peers by their group.
    With `stateful`, the connection's other packets pass as well.
    """

    ingress: bool
    ip_version: int
    stateful: bool
    fields: Match = ()
    remote_group: str = ""

    @property
    def is_anything(self) -> bool:
        return not self.fields and not self.remote_group


class AddressSet(msgspec.Struct, frozen=True, order=True, kw_only=True):
    """A remote group as permits use it: its members' addresses, as sources (`ingress`) or targets.

    There is one on a host, however many endpoints and rules name it.
    """

    ingress: bool
    ip_version: int
    stateful: bool
    group: str


class PortFilter(msgspec.Struct, frozen=True, dict=True):
    """All that passes to and from an endpoint; what no permit lets through is dropped."""

    permits: tuple[Permit, ...] = ()

    @functools.cached_property
    def address_sets(self) -> frozenset[AddressSet]:
        return frozenset(
            AddressSet(
                ingress=one.ingress,
                ip_version=one.ip_version,
                stateful=one.stateful,
                group=one.remote_group,
            )
            for one in self.permits
            if one.remote_group and one.ip_version not in self.open_versions
        )

    @functools.cached_property
    def open_versions(self) -> frozenset[int]:
        """The IP versions of which everything passes both ways: they need no filtering."""
        anything = {(one.ip_version, one.ingress) for one in self.permits if one.is_anything}
        return frozenset(
            version for version in IP_VERSIONS if {(version, True), (version, False)} <= anything
        )

    @functools.cached_property
    def is_tracked(self) -> bool:
        """Whether conntrack is asked: something that is permitted has replies."""
        return any(one.stateful for one in self.permits)


class Rate(msgspec.Struct, frozen=True):
    """In kbit a second, and kbit at once."""

    kbps: int
    burst_kbits: int


class Qos(msgspec.Struct, frozen=True):
    """What an endpoint may send (`egress`) and get, and the DSCP of what it sends."""

    egress: Rate | None = None
    ingress: Rate | None = None
    dscp_mark: int | None = None


class Inside(msgspec.Struct, frozen=True):
    """Of a subport: whose device its frames come by, and which VLAN tag they bear there."""

    parent_id: str
    vlan: int


class Heard(StrEnum):
    """What an endpoint's client of DHCP or router discovery says."""

    DHCP4 = "dhcp4"
    DHCP6 = "dhcp6"
    SOLICITATION = "router solicitation"


class Endpoint(msgspec.Struct, frozen=True):
    """A port to be wired on this host, whether or not its device is plugged yet.

    `port_id` is compared with Interface external_ids:iface-id. `addresses` are its fixed IPs.
    `filter` None: all passes that anti-spoofing lets out, and all that comes in. `heard` is what
    its client says that comes to the agent, and not into the network.
    Raises ValueError for a MAC or address that is none.
    """

    port_id: str
    segment: NetworkSegment
    mac: str
    addresses: tuple[str, ...] = ()
    allowed_pairs: tuple[AddressPair, ...] = ()
    port_security: bool = True
    admin_up: bool = True
    mtu: int | None = None
    filter: PortFilter | None = None
    qos: Qos | None = None
    inside: Inside | None = None
    heard: frozenset[Heard] = frozenset()

    def __post_init__(self) -> None:
        _check_mac(self.mac)
        for address in self.addresses:
            parsed_address(address)


class Bond(msgspec.Struct, frozen=True):
    """NICs that act as one. `bfd_interval_ms` None trusts carrier alone.

    BFD finds a silent failure of a link within three intervals; LACP's fast rate needs 1.4 s
    (measured: 13 against 142 lost pings at 10 ms).
    """

    members: tuple[str, ...]
    name: str = "bond0"
    mode: Literal["active-backup", "balance-slb", "balance-tcp"] = "active-backup"
    lacp: Literal["off", "active", "passive"] = "off"
    bfd_interval_ms: int | None = 100


class Nic(msgspec.Struct, frozen=True):
    """A single NIC as uplink."""

    name: str


class PhysicalBridge(msgspec.Struct, frozen=True):
    """A bridge to the wire. `uplink` None: an installer has put the NICs there, leave them alone.

    `management_vlan` None: the host's own address on the local port speaks untagged. `host_vlans`
    are further VLANs of the host (storage, say) that pass although no network of ours uses them.
    """

    name: str
    physical_network: str
    uplink: Bond | Nic | None = None
    management_vlan: int | None = None
    host_vlans: tuple[int, ...] = ()


class Management(msgspec.Struct, frozen=True):
    """The host's own address (ADDRESS/PREFIX), on the local port of a physical bridge."""

    bridge: str
    address: str
    gateway: str | None = None


class HostWiring(msgspec.Struct, frozen=True):
    """The host's local configuration; enough for the base wiring before any server is reached."""

    physical_bridges: tuple[PhysicalBridge, ...]
    integration_bridge: str = "br-int"
    datapath_type: Literal["system", "netdev"] = "system"
    mtu: int | None = None
    management: Management | None = None

    @property
    def bridge_names(self) -> tuple[str, ...]:
        return (self.integration_bridge, *(bridge.name for bridge in self.physical_bridges))


class Desired(msgspec.Struct, frozen=True):
    """All that this host should be.

    `in_sync` says that `endpoints` is complete: only then is a wired port that is not among them
    withdrawn (law 6). Before that it stays as it is. `memberships` are complete for every group
    that an endpoint's filter names. `awaited` are ports that nobody has told of yet, whose devices
    stay where they were plugged.
    """

    wiring: HostWiring
    endpoints: tuple[Endpoint, ...] = ()
    in_sync: bool = False
    memberships: Memberships = NO_MEMBERSHIPS
    awaited: frozenset[str] = frozenset()


def patch_names(bridge: PhysicalBridge) -> tuple[str, str]:
    """Name the ends of the patch pair: (on the integration bridge, on the physical bridge)."""
    return f"int-{bridge.name}", f"phy-{bridge.name}"


@functools.lru_cache(maxsize=1024)
def link_local(mac: str) -> str:
    """The IPv6 link-local address that a NIC forms from its MAC (RFC 4291, appendix A)."""
    octets = bytearray.fromhex(mac.replace(":", ""))
    octets[0] ^= 2
    interface_id = bytes([*octets[:3], 0xFF, 0xFE, *octets[3:]])
    return str(ipaddress.IPv6Address(b"\xfe\x80" + bytes(6) + interface_id))


def _check_mac(mac: str) -> None:
    if not _MAC.fullmatch(mac):
        raise ValueError(f"{mac!r} is no MAC address (six octets in hexadecimal, with colons)")
