"""What is handed over, and in which order. Pure."""

from enum import StrEnum
from typing import NamedTuple


class Kind(StrEnum):
    """Named as the Networking API names one of them."""

    SECURITY_GROUP = "security_group"
    NETWORK = "network"
    SUBNET = "subnet"
    ROUTER = "router"
    PORT = "port"
    FLOATING_IP = "floatingip"

    @property
    def collection(self) -> str:
        return f"{self.value}s"

    @property
    def path(self) -> str:
        return f"/v2.0/{self.collection.replace('_', '-')}"


class Key(NamedTuple):
    kind: Kind
    id: str


MAKING = tuple(Kind)
"""What stands on others comes after them."""

ENDING = (Kind.FLOATING_IP, Kind.PORT, Kind.ROUTER, Kind.SUBNET, Kind.NETWORK)
"""Before anything is made, so that its addresses and segments are free; groups go last."""

ROUTER_INTERFACE = "network:router_interface"
ROUTER_GATEWAY = "network:router_gateway"
FLOATING_IP_HOLDER = "network:floatingip"
HOLDERS = frozenset({ROUTER_GATEWAY, FLOATING_IP_HOLDER})
"""Owners of ports that only hold an outer address: Netwright makes ports of its own for that."""
