"""Trunks: ports of several networks by one device, told apart by the VLAN tags of its frames."""

from enum import StrEnum

from netwright.model.resources import Value


class TrunkStatus(StrEnum):
    """How far a trunk is wired, in the API's words.

    down ─its parent is bound─▶ build ─all of its ports are up─▶ active
         ◀─no more────────────        ─one is up, others are not─▶ degraded
                                      ─one cannot be─▶ error
    """

    DOWN = "DOWN"
    BUILD = "BUILD"
    ACTIVE = "ACTIVE"
    DEGRADED = "DEGRADED"
    ERROR = "ERROR"


class SubPort(Value, frozen=True, kw_only=True):
    """A port whose frames bear this VLAN id (IEEE 802.1Q) on the parent's device."""

    port_id: str
    segmentation_id: int
    segmentation_type: str = "vlan"


class Trunk(Value, frozen=True, kw_only=True):
    """A parent port, whose frames are untagged, and its subports.

    While it is not `admin_state_up` it is not changed; packets pass as their ports let them.
    """

    id: str
    project_id: str
    port_id: str
    name: str = ""
    description: str = ""
    admin_state_up: bool = True
    status: TrunkStatus = TrunkStatus.DOWN
    sub_ports: tuple[SubPort, ...] = ()
    tags: tuple[str, ...] = ()
    revision_number: int = 0
    created_at: float
    updated_at: float

    @property
    def ports(self) -> tuple[str, ...]:
        """Of the parent and all subports."""
        return (self.port_id, *(one.port_id for one in self.sub_ports))
