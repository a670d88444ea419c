"""Values that a plan is made of: changes of OVSDB rows and of flows, and what is said of ports."""

from collections.abc import Mapping
from typing import Literal, TypeAlias

import msgspec

from netwright.agent.ovs.flows import Flow
from netwright.agent.ovs.meters import MeterChange

MARK = "netwright"
"""external_ids key on every row that we made; its value says as what."""
SEGMENT_MARK = "netwright-segment"
"""external_ids key on a port that we wired: "PHYSICAL_NETWORK/VLAN", or DEAD."""
DEAD = "dead"
DEAD_VLAN = 4095
"""Tag of a port that belongs to no network (yet): no frame ever carries it on a wire."""

Value: TypeAlias = int | str | tuple[str, ...] | Mapping[str, str] | None
"""A column's new value; None and () empty it."""


class NewInterface(msgspec.Struct, frozen=True):
    name: str
    type: str = ""
    options: Mapping[str, str] = {}
    bfd: Mapping[str, str] = {}
    mtu_request: int | None = None
    external_ids: Mapping[str, str] = {}


class AddBridge(msgspec.Struct, frozen=True):
    """Make a bridge in secure mode, with its local port."""

    name: str
    datapath_type: str
    local_tag: int | None = None
    mtu_request: int | None = None
    owner: str | None = None


class AddPort(msgspec.Struct, frozen=True):
    """`kind` is our mark's value, if it is not a patch between bridges, or an uplink."""

    bridge: str
    name: str
    interfaces: tuple[NewInterface, ...]
    bond_mode: str | None = None
    lacp: str | None = None
    tag: int | None = None
    kind: str | None = None
    owner: str | None = None


class RemovePort(msgspec.Struct, frozen=True):
    bridge: str
    uuid: str
    name: str
    owner: str | None = None


class SetColumns(msgspec.Struct, frozen=True):
    """Overwrite columns of a row; `marks` are merged into its external_ids.

    `expected` holds values that the plan relied on: if another writer has changed them since, the
    transaction is refused and planned anew. `owner` is the port id whose fault a refusal is.
    """

    table: Literal["Bridge", "Port", "Interface"]
    uuid: str
    name: str
    columns: Mapping[str, Value]
    marks: Mapping[str, str] = {}
    expected: Mapping[str, Value] = {}
    owner: str | None = None


RowChange: TypeAlias = AddBridge | AddPort | RemovePort | SetColumns


class FlowChange(msgspec.Struct, frozen=True):
    """Put `flow` in place (replacing one of the same identity), or take exactly it away."""

    flow: Flow
    delete: bool = False

    def __str__(self) -> str:
        return f"{'-' if self.delete else '+'} {self.flow}"


Clauses: TypeAlias = tuple[tuple[int, int, tuple[int, ...]], ...]
"""(table, priority, conjunctions) of an address's flows, in their order."""


class AddressChange(msgspec.Struct, frozen=True):
    """The flows that an address of remote groups has, and those that it shall have.

    `key` is `agent.members.address_key`'s; `address_sets` makes flows of it.
    """

    key: bytes
    has: Clauses
    wants: Clauses


FlowChanges: TypeAlias = Mapping[str, tuple[FlowChange, ...]]
"""Bridge name → changes, each bridge's for one atomic bundle, in this order."""


Status: TypeAlias = Literal["up", "down", "absent", "wiring", "opening", "refused"]


class EndpointState(msgspec.Struct, frozen=True):
    """How an endpoint stands.

    up: wired, read back. down: administratively. absent: no device carries its id. wiring: not
    yet, `cause` says what it waits for. opening: all that is ours stands, for the OpenFlow port
    that its device is to get when ovs-vswitchd opens it. refused: `cause` says why; tried again at
    every plan.
    """

    port_id: str
    status: Status
    cause: str = ""


class Problem(msgspec.Struct, frozen=True):
    """Something about the host itself that the plan cannot put right."""

    subject: str
    cause: str


class Plan(msgspec.Struct, frozen=True):
    """All changes, in the order of the fields; it leaves no choice to the driver.

    `close` takes away what must not forward any more, `rows` changes OVSDB (tags), `open` adds
    and replaces flows once ovs-vswitchd has taken the rows up. So no frame meets a port's new
    flows under its old tag. `addresses` are remote groups' on the integration bridge: what is added
    of them stands before `open`, what is removed goes after it; so it is with `meters`.
    """

    close: FlowChanges
    rows: tuple[RowChange, ...]
    open: FlowChanges
    endpoints: tuple[EndpointState, ...]
    problems: tuple[Problem, ...]
    addresses: tuple[AddressChange, ...] = ()
    meters: tuple[MeterChange, ...] = ()

    @property
    def empty(self) -> bool:
        return not (self.close or self.rows or self.open or self.addresses or self.meters)

    def __str__(self) -> str:
        lines = [f"{b} {change}" for b, changes in self.close.items() for change in changes]
        lines += [str(change) for change in self.rows]
        lines += [f"{b} {change}" for b, changes in self.open.items() for change in changes]
        lines += [str(change) for change in self.addresses]
        lines += [str(change) for change in self.meters]
        return "\n".join(lines) or "nothing to do"
