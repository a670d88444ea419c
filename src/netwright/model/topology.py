"""The fabric as its owner describes it: switches, links, gateways. An inventory, not a state."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated

from msgspec import Meta

from netwright.model.wire import Message

Name = Annotated[str, Meta(min_length=1, max_length=255)]
Vlan = Annotated[int, Meta(ge=1, le=4094)]
Vni = Annotated[int, Meta(ge=1, le=16777215)]
Count = Annotated[int, Meta(ge=1)]


class SwitchKind(StrEnum):
    """A switch's place: in the classic tree (tor, aggregation, core), or in a spine-leaf fabric.

    A `border` is a leaf that also has the provider networks' VLANs, towards the cores.
    """

    TOR = "tor"
    AGGREGATION = "aggregation"
    CORE = "core"
    SPINE = "spine"
    LEAF = "leaf"
    BORDER = "border"


class Capacities(Message, frozen=True, kw_only=True):
    """What a switch can hold; None: not known, so not checked."""

    macs: Count | None = None
    vnis: Count | None = None
    vrfs: Count | None = None
    arp_entries: Count | None = None


class Switch(Message, frozen=True, kw_only=True):
    """`driver` configures it, reached at `address` (the driver's own form); "": nobody of ours.

    `asn` and `loopback` (the VTEP's address) are its own in the underlay; leaves need both. `zone`
    is where it stands; a host stands where the switches do that it hangs on.
    """

    name: Name
    kind: SwitchKind
    driver: str = ""
    address: str = ""
    asn: Annotated[int, Meta(ge=1, le=4294967295)] | None = None
    loopback: str = ""
    zone: str = ""
    capacities: Capacities = Capacities()


class End(Message, frozen=True, kw_only=True):
    """An interface of a switch or host."""

    node: Name
    interface: Name

    def __str__(self) -> str:
        return f"{self.node}/{self.interface}"


class Link(Message, frozen=True, kw_only=True):
    """A cable. `lower` is the end that hangs on the other.

    A node's links upward are alternatives in the order of the inventory: one is in use, the first.
    A `peer` link joins equals and is always in use.
    """

    lower: End
    upper: End
    peer: bool = False


class Gateway(Message, frozen=True, kw_only=True):
    """A core's or border's interface into a VLAN of a physical network.

    Without `vlan` it is in the flat network, and a trunk in which any other VLAN may come.
    """

    switch: Name
    interface: Name
    physical_network: Name
    vlan: Vlan | None = None


class Irb(StrEnum):
    """How a VPC is routed between its networks (RFC 9135)."""

    ASYMMETRIC = "asymmetric"
    SYMMETRIC = "symmetric"


class DriftPolicy(StrEnum):
    """What the controller does about what somebody else changed on a switch."""

    REPAIR = "repair"
    ALARM = "alarm"


class VlanInterval(Message, frozen=True, kw_only=True):
    """VLANs that fabric networks may have in a VLAN domain, both ends inside."""

    first: Vlan
    last: Vlan


class VniInterval(Message, frozen=True, kw_only=True):
    first: Vni
    last: Vni


class FabricSettings(Message, frozen=True, kw_only=True):
    """`asn` is the administrator part of route targets: the same whatever a leaf's own AS.

    `vlans` are given to fabric networks, in each VLAN domain by itself; `l3vnis` to VPCs that are
    routed symmetrically or through a border. `domain_vlans` are those of single domains, by the
    name of one of its leaves.
    """

    asn: Annotated[int, Meta(ge=1, le=65535)] = 65000
    irb: Irb = Irb.ASYMMETRIC
    drift: DriftPolicy = DriftPolicy.REPAIR
    vlans: tuple[VlanInterval, ...] = ()
    domain_vlans: Mapping[str, tuple[VlanInterval, ...]] = {}
    l3vnis: tuple[VniInterval, ...] = ()


class Topology(Message, frozen=True, kw_only=True):
    """`PUT /v1/topology`: the whole fabric. Its nodes are the switches, and what hangs on them."""

    switches: tuple[Switch, ...] = ()
    links: tuple[Link, ...] = ()
    gateways: tuple[Gateway, ...] = ()
    fabric: FabricSettings = FabricSettings()
