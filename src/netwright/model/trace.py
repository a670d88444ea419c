"""`GET /v1/trace`: the devices that a packet crosses (docs/trace.md says what counts as one)."""

from enum import StrEnum

from netwright.model.resources import Value
from netwright.model.topology import End


class DeviceKind(StrEnum):
    VNIC = "vnic"
    TAP = "tap"
    VETH = "veth"
    BRIDGE = "bridge"
    BOND = "bond"
    NIC = "nic"
    TOR = "tor"
    AGGREGATION = "aggregation"
    CORE = "core"
    GATEWAY = "gateway"


class Device(Value, frozen=True, kw_only=True):
    """A device on a node. An instance's vNIC is named by its MAC: the guest names it itself."""

    node: str
    device: str
    kind: DeviceKind


class Crossing(Value, frozen=True, kw_only=True):
    """A link on the way, in the direction of the packet."""

    leaves: End
    enters: End


class Trace(Value, frozen=True, kw_only=True):
    """The devices in order, both vNICs among them, and the links between nodes.

    When the packet cannot arrive, `complete` is false, `reason` says why, `next` what to do. The
    devices are then those up to where its way ends; all of them, when only the wiring of an end is
    missing. `known` is false when it may well arrive, and how is not known here. `reason` of a
    complete one says what is not known, of hosts that are silent.
    """

    count: int
    devices: tuple[Device, ...]
    links: tuple[Crossing, ...]
    complete: bool
    known: bool = True
    reason: str = ""
    next: str = ""
