"""What a fabric controller and the server say to each other, beside the watch.

The controller acts with the token of the lease `fabric` (law 3): the server refuses what an older
holder says. Attachments are keyed (network, host); `generation` is the attachment's, so that a
report about an earlier life of it changes nothing.
"""

from enum import StrEnum
from typing import Any

from netwright.model.errors import Fault
from netwright.model.operations import OperationState
from netwright.model.resources import Value
from netwright.model.topology import End, Name
from netwright.model.wire import Kind, Message, ReportStatus

WATCHED = (
    Kind.TOPOLOGY,
    Kind.NETWORK,
    Kind.SUBNET,
    Kind.ROUTER,
    Kind.FLOATING_IP,
    Kind.ATTACHMENT,
    Kind.HOST,
    Kind.OPERATION,
    Kind.SWITCH,
)
"""What a fabric controller watches; it may watch no more."""

LEASE = "fabric"
"""The name of the lease that the active controller holds."""


class AttachmentReport(Message, frozen=True, kw_only=True):
    """What the controller found of a network's overlay on the leaves of a host.

    `up`: read back on every leaf of the host that lives, and verified. `withdrawn`: nothing of it
    is on any leaf of the host.
    """

    network_id: Name
    host: Name
    generation: int
    status: ReportStatus
    cause: str = ""


class LinkReport(Message, frozen=True, kw_only=True):
    """The link of a leaf's port towards a host: the second witness of the host's life (law 5)."""

    end: End
    is_up: bool


class SwitchStatus(StrEnum):
    """`isolated`: it answers, and no other switch of the fabric hears it."""

    IN_SYNC = "in_sync"
    APPLYING = "applying"
    DRIFTED = "drifted"
    ISOLATED = "isolated"
    UNREACHABLE = "unreachable"
    REFUSED = "refused"


class SwitchReport(Message, frozen=True, kw_only=True):
    """How a switch stands to its plan; `drift` is the difference in words, one line an element.

    `drained`: whether it is taken out of service, with its host ports down; every controller learns
    it from the switch's state. None leaves that as it is: only who was asked to change it says so.
    """

    switch: Name
    status: SwitchStatus
    cause: str = ""
    drift: tuple[str, ...] = ()
    drained: bool | None = None


class FenceReport(Message, frozen=True, kw_only=True):
    """What the controller found of a port's fence on the leaves of a host (law 5).

    `up`: read back on every leaf of the host that is not proven dead. `down`: not so, for the
    cause. `withdrawn`: nothing of it is on any leaf of the host any more.
    """

    host: Name
    port_id: Name
    generation: int
    status: ReportStatus
    cause: str = ""


class FloatingReport(Message, frozen=True, kw_only=True):
    """What the controller found of a floating IP that leads to this address of a port.

    `up`: read back on a border. `refused`: none can translate it, for the cause.
    """

    id: Name
    port_id: Name
    fixed_ip_address: Name
    status: ReportStatus
    cause: str = ""


class FabricReports(Message, frozen=True, kw_only=True, omit_defaults=True):
    """`POST /v1/fabric/reports`: what changed since the last, in one request.

    `clear_at`: everything that the log said up to this cursor to be gone (networks, VPCs, hosts) is
    off every switch that is not decommissioned, so that its VLANs and VNIs may be given out again.
    """

    token: int
    attachments: tuple[AttachmentReport, ...] = ()
    links: tuple[LinkReport, ...] = ()
    switches: tuple[SwitchReport, ...] = ()
    fences: tuple[FenceReport, ...] = ()
    floating: tuple[FloatingReport, ...] = ()
    clear_at: str | None = None


class SwitchState(Value, frozen=True, kw_only=True):
    """A switch as last reported; watched as kind `switch`, by its name."""

    name: str
    status: SwitchStatus
    cause: str = ""
    drift: tuple[str, ...] = ()
    drained: bool = False
    since: float

    @property
    def id(self) -> str:
        return self.name


class LeafLink(Value, frozen=True, kw_only=True):
    """The link of a leaf's interface as last reported; by `SWITCH/INTERFACE`."""

    id: str
    is_up: bool
    since: float


class LinkState(Value, frozen=True, kw_only=True):
    """A link that the inventory, a leaf or an agent speaks of, and what each says.

    `heard` is the neighbour that the host's LLDP heard, `SWITCH/INTERFACE`; `contradiction` says
    in words where inventory and LLDP differ. None: nobody has said.
    """

    host: str
    interface: str
    declared: str | None = None
    heard: str | None = None
    is_up: bool | None = None
    contradiction: str = ""
    since: float


class AnswerError(Message, frozen=True, kw_only=True):
    """Why the controller could not do it: an error as the native API tells it."""

    type: str
    fault: Fault
    message: str
    next: str = ""


class OperationAnswer(Message, frozen=True, kw_only=True):
    """`PUT /v1/operations/ID`: what became of an operation on the fabric."""

    token: int
    state: OperationState
    result: Any = None
    error: AnswerError | None = None
