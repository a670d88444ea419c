"""What cannot be planned, and why: a bad resource fails alone, and says so (law 9). Pure values."""

from enum import StrEnum

from netwright.model.resources import Network, Value
from netwright.model.routing import Router


class RefusalCode(StrEnum):
    ADMIN_DOWN = "admin_down"  # somebody wants it so: nothing is wrong
    UNKNOWN_NETWORK = "unknown_network"
    UNKNOWN_SWITCH = "unknown_switch"
    UNUSABLE_SWITCH = "unusable_switch"
    WRONG_INTERFACE = "wrong_interface"
    NO_LINK = "no_link"
    NO_VLAN = "no_vlan"
    NO_VNI = "no_vni"
    NO_MAC = "no_mac"
    NO_WAY_OUT = "no_way_out"
    VLAN_TAKEN = "vlan_taken"
    VNI_TAKEN = "vni_taken"
    INTERFACE_TAKEN = "interface_taken"
    NETWORK_TAKEN = "network_taken"
    PREFIX_TAKEN = "prefix_taken"
    CAPACITY = "capacity"


class Refusal(Value, frozen=True, kw_only=True):
    """What a plan leaves out. The names that are set say whose failure it is.

    `router_id`: the VPC's; `network_id` and `switch` say where it is not routed, and the network
    itself is planned all the same. Else `network_id` and `host`: the attachment's, on `switch` if
    one is named, or everywhere. `network_id` alone: a provider network's gateway. `host` alone: its
    fence. `switch` alone: all of the switch, which is left as it is.
    """

    code: RefusalCode
    words: str
    network_id: str | None = None
    host: str | None = None
    router_id: str | None = None
    switch: str | None = None
    interface: str | None = None


def called(thing: Network | Router) -> str:
    """How people know it: its name if it has one, and its id."""
    kind = "network" if isinstance(thing, Network) else "router"
    return f"{kind} {thing.name} ({thing.id})" if thing.name else f"{kind} {thing.id}"
