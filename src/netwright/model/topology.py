"""The fabric as its owner describes it: switches, links, gateways. An inventory, not a state."""

from enum import StrEnum
from typing import Annotated

from msgspec import Meta

from netwright.model.wire import Message

Name = Annotated[str, Meta(min_length=1, max_length=255)]
Vlan = Annotated[int, Meta(ge=1, le=4094)]


class SwitchKind(StrEnum):
    """A switch's place in the classic tree: access, aggregation, core."""

    TOR = "tor"
    AGGREGATION = "aggregation"
    CORE = "core"


class Switch(Message, frozen=True, kw_only=True):
    name: Name
    kind: SwitchKind


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
    """A core's interface into a VLAN of a physical network; without `vlan`, into a flat network."""

    switch: Name
    interface: Name
    physical_network: Name
    vlan: Vlan | None = None


class Topology(Message, frozen=True, kw_only=True):
    """`PUT /v1/topology`: the whole fabric. Its nodes are the switches, and what hangs on them."""

    switches: tuple[Switch, ...] = ()
    links: tuple[Link, ...] = ()
    gateways: tuple[Gateway, ...] = ()
