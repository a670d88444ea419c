"""Settings of `netwright agent`: table [agent]."""

from collections.abc import Mapping
from enum import StrEnum
from ipaddress import ip_interface
from typing import Annotated

from msgspec import Meta

from netwright.model.settings import Settings


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

    `physical_networks` names the bridge of each physical network. `management_ip` (ADDRESS/PREFIX)
    is put on the bond's bridge, in VLAN `management_vlan` (untagged without), with a default route
    by `management_gateway` when that is given; without it the host's own configuration is left
    alone.
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
    bond: BondSettings | None = None
    management_ip: str | None = None
    management_vlan: Annotated[int, Meta(ge=1, le=4094)] | None = None
    management_gateway: str | None = None
    token_file: str | None = None

    def __post_init__(self) -> None:
        if not self.server.startswith(("http://", "https://")):
            raise ValueError(f"server is {self.server!r}, but must be a URL: http://HOST:PORT")
        if self.management_ip is not None:
            if "/" not in self.management_ip:
                raise ValueError(f"management_ip is {self.management_ip!r}: give ADDRESS/PREFIX")
            ip_interface(self.management_ip)  # raises ValueError, which names the value

    @property
    def management_address(self) -> str | None:
        """The management address without its prefix, as the server shall know it."""
        return str(ip_interface(self.management_ip).ip) if self.management_ip else None
