"""Settings of `netwright agent`: table [agent]."""

from collections.abc import Mapping
from enum import StrEnum
from ipaddress import ip_interface
from typing import Annotated

from msgspec import Meta

from netwright.agent.dhcp.served import WhereServed
from netwright.agent.placing import FabricUplink
from netwright.model.resources import DEFAULT_PROJECT
from netwright.model.settings import Settings

FABRIC = "fabric"
"""The physical network of a bridge that is the fabric's alone."""


class Driver(StrEnum):
    """What forwards packets on the host."""

    OVS = "ovs"


class BondMode(StrEnum):
    """How traffic is spread over a bond's members (ovs-vswitchd.conf.db(5), bond_mode)."""

    ACTIVE_BACKUP = "active-backup"
    BALANCE_SLB = "balance-slb"
    BALANCE_TCP = "balance-tcp"


class DatapathType(StrEnum):
    """Where Open vSwitch forwards: in its kernel module, or in user space where there is none."""

    SYSTEM = "system"
    NETDEV = "netdev"


class BondSettings(Settings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The bonded NICs of a bridge.

    BFD runs on each member towards its switch, so that a silent failure is seen within
    three times `bfd_interval_ms`; without it only a lost carrier moves the traffic.
    """

    members: Annotated[tuple[str, ...], Meta(min_length=1)]
    bridge: str = "br-bond"
    name: str = "bond0"
    mode: BondMode = BondMode.ACTIVE_BACKUP
    bfd: bool = True
    bfd_interval_ms: Annotated[int, Meta(ge=10, le=10_000)] = 100


class AgentSettings(Settings, frozen=True, kw_only=True):
    """What an agent must know before it ever reached the server.

    `physical_networks` names the bridge of each physical network. `fabric_bridge` is the bridge
    that leads to the host's leaves, by which fabric networks (VXLAN) go as VLANs; it may be a
    physical network's. Not named, it is the only physical network's, if there is just one.
    `management_ip` (ADDRESS/PREFIX) is put on the bond's bridge, in VLAN `management_vlan`
    (untagged without), with a default route by `management_gateway` when that is given; without it
    the host's own configuration is left alone, as with a management network on NICs of its own.
    `lldp_socket` is lldpd's control socket: the agent tells what neighbours its NICs hear.
    `dhcp_on_fabric`: DHCP clients on fabric networks are answered here, where their subnets say so;
    so are those on `dhcp_physical_networks` (docs/dhcp.md).
    `cni_socket` is where it serves containers' runtimes (docs/cni.md); without it, it does not.
    Their ports are made in `cni_project`; what they were given is kept in `cni_state_directory`.
    `kubernetes` is where pods' labels come from: "in-cluster", or a kubeconfig's path; `node_name`
    is this host's there, the host's own without.
    """

    host: str = ""
    server: str = "http://127.0.0.1:9696"
    driver: Driver = Driver.OVS
    ovsdb: Annotated[
        str,
        Meta(
            pattern="^unix:.+",
            description="unix:PATH of ovsdb-server's socket",
            examples=["unix:/var/run/openvswitch/db.sock"],
        ),
    ] = "unix:/var/run/openvswitch/db.sock"
    integration_bridge: str = "br-int"
    datapath_type: DatapathType = DatapathType.SYSTEM
    physical_networks: Mapping[str, str] = {}
    fabric_bridge: Annotated[str, Meta(min_length=1)] | None = None
    bond: BondSettings | None = None
    management_ip: str | None = None
    management_vlan: Annotated[int, Meta(ge=1, le=4094)] | None = None
    management_gateway: str | None = None
    lldp_socket: Annotated[str, Meta(min_length=1, examples=["/run/lldpd.socket"])] | None = None
    token_file: str | None = None
    dhcp_on_fabric: bool = True
    dhcp_physical_networks: tuple[str, ...] = ()
    cni_socket: Annotated[str, Meta(min_length=1, examples=["/run/netwright/cni.sock"])] | None = (
        None
    )
    cni_state_directory: Annotated[str, Meta(min_length=1)] = "/var/lib/netwright/cni"
    cni_project: Annotated[str, Meta(min_length=1)] = DEFAULT_PROJECT
    kubernetes: Annotated[str, Meta(min_length=1)] | None = None
    node_name: str = ""

    def __post_init__(self) -> None:
        if not self.server.startswith(("http://", "https://")):
            raise ValueError(f"server is {self.server!r}, but must be a URL: http://HOST:PORT")
        if self.management_ip is not None:
            if "/" not in self.management_ip:
                raise ValueError(f"management_ip is {self.management_ip!r}: give ADDRESS/PREFIX")
            ip_interface(self.management_ip)  # raises ValueError, which names the value
        self._check_fabric_bridge()
        if unknown := set(self.dhcp_physical_networks) - self.physical_networks.keys():
            raise ValueError(
                f"dhcp_physical_networks names {', '.join(sorted(unknown))}, of which"
                f" physical_networks knows nothing (it has {sorted(self.physical_networks)})"
            )
        if self.node_name and self.kubernetes is None:
            raise ValueError("node_name is for kubernetes, and there is none")
        if self.kubernetes is not None and self.cni_socket is None:
            raise ValueError("kubernetes is for cni_socket, and there is none")

    @property
    def management_address(self) -> str | None:
        """The management address without its prefix, as the server shall know it."""
        return str(ip_interface(self.management_ip).ip) if self.management_ip else None

    @property
    def where_served(self) -> WhereServed:
        """The networks whose DHCP clients are answered on this host."""
        return WhereServed(
            fabric=self.dhcp_on_fabric, physical_networks=frozenset(self.dhcp_physical_networks)
        )

    @property
    def bridges(self) -> Mapping[str, str]:
        """The bridge of each physical network, and of the fabric where it has one of its own."""
        fabric = self.fabric
        if fabric is None:
            return self.physical_networks
        return {**self.physical_networks, fabric.physical_network: fabric.bridge}

    @property
    def fabric(self) -> FabricUplink | None:
        """The way to the leaves.

        A bridge that is no physical network's gets the name FABRIC among them.
        """
        physical = self.physical_networks
        bridge = self.fabric_bridge
        if bridge is None:
            if len(physical) != 1:
                return None
            (bridge,) = physical.values()
        names = sorted(name for name, of in physical.items() if of == bridge)
        home = self.bond.bridge if self.bond else bridge
        return FabricUplink(
            bridge=bridge,
            physical_network=names[0] if names else FABRIC,
            management_vlan=self.management_vlan if bridge == home else None,
        )

    def _check_fabric_bridge(self) -> None:
        """Raises ValueError when it is no physical network's, and one has the name it would get."""
        bridge, physical = self.fabric_bridge, self.physical_networks
        if bridge is None or bridge in physical.values() or FABRIC not in physical:
            return
        raise ValueError(
            f"fabric_bridge is {bridge!r}, but physical network {FABRIC!r} has another bridge,"
            f" {physical[FABRIC]!r}: give that network another name"
        )
