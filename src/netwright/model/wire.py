"""The native API's messages (INTERFACES: watch, hosts, reports, leases), shared by both ends."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated

import msgspec
from msgspec import Meta

from netwright.model.containers import SLOTS_MAX, PodIdentity
from netwright.model.resources import Nic, Port, Value
from netwright.model.states import Plane

HELD_BY_MAX = 600
"""A container's id, its host's name, and a number."""

_UUID_OR_NONE = "^([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})?$"


class Message(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The base of messages that come in: unknown keys are refused."""


class Kind(StrEnum):
    """What a watch line is about.

    An `attachment`'s id is `NETWORK@HOST`, a `group_member`'s `PORT@GROUP`, a `host`'s its name,
    a `quota`'s its project, a `switch`'s its name. There is one `topology`, "fabric".
    """

    NETWORK = "network"
    SUBNET = "subnet"
    PORT = "port"
    ATTACHMENT = "attachment"
    HOST = "host"
    SECURITY_GROUP = "security_group"
    GROUP_MEMBER = "group_member"
    ADDRESS_GROUP = "address_group"
    OPERATION = "operation"
    QUOTA = "quota"
    ADDRESS_SCOPE = "address_scope"
    SUBNET_POOL = "subnet_pool"
    ROUTER = "router"
    FLOATING_IP = "floatingip"
    QOS_POLICY = "qos_policy"
    TRUNK = "trunk"
    TOPOLOGY = "topology"
    SWITCH = "switch"


class LineType(StrEnum):
    PUT = "put"
    DELETE = "delete"
    SNAPSHOT_END = "snapshot_end"
    HEARTBEAT = "heartbeat"
    ERROR = "error"


class WatchLine(Value, frozen=True, kw_only=True, omit_defaults=True):
    """A line of `GET /v1/watch`. `object` is the kind's value (`model.resources`) as JSON."""

    type: LineType
    cursor: str = ""
    kind: Kind | None = None
    id: str | None = None
    object: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


class HostRegistration(Message, frozen=True, kw_only=True):
    """`PUT /v1/hosts/NAME`. `epoch` is chosen anew by each life of the agent."""

    epoch: str
    driver: str
    physical_networks: Mapping[str, str] = {}
    nics: tuple[Nic, ...] = ()
    management_ip: str | None = None


class Heartbeat(Message, frozen=True, kw_only=True):
    """`POST /v1/hosts/NAME/heartbeat`, every 5 s; NICs and neighbours when they changed.

    `neighbours` are what each NIC hears by LLDP: `{"eth0": "SWITCH/INTERFACE"}`.
    """

    epoch: str
    nics: tuple[Nic, ...] | None = None
    conditions: Mapping[str, str] | None = None
    neighbours: Mapping[str, str] | None = None


class ReportStatus(StrEnum):
    UP = "up"
    DOWN = "down"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"


class Report(Message, frozen=True, kw_only=True):
    """What a host, or a controller, found of a binding or an attachment."""

    plane: Plane
    generation: int = 0
    status: ReportStatus
    port_id: str | None = None
    network_id: str | None = None
    cause: str = ""


class ReportBatch(Message, frozen=True, kw_only=True):
    """`POST /v1/reports`.

    With `full_set_at` the batch is all that the host has at that cursor: what is missing in it is
    withdrawn.
    """

    host: str
    epoch: str
    reports: tuple[Report, ...] = ()
    full_set_at: str | None = None


class ReportOutcome(StrEnum):
    APPLIED = "applied"
    STALE = "stale"
    UNKNOWN = "unknown"


class ReportResult(Value, frozen=True, kw_only=True):
    id: str
    result: ReportOutcome


class ReportResults(Value, frozen=True, kw_only=True):
    results: tuple[ReportResult, ...]


class DevicesSeen(Message, frozen=True, kw_only=True):
    """`POST /v1/hosts/NAME/devices`: the agent found these devices, named by their iface-id.

    It asks for ports that its watch does not hold, and tells of those that it cannot wire at once.
    """

    epoch: str
    port_ids: tuple[str, ...]


class DeviceAnswers(Value, frozen=True, kw_only=True):
    """The ports among those asked for that are bound to this host or were never bound.

    The others are like unknown ones: where they are is not this host's to know.
    """

    ports: tuple[Port, ...]


CONTAINER_OWNER = "netwright:container"
"""The `device_owner` of ports that agents ask for, and may delete."""


class ContainerPort(Message, frozen=True, kw_only=True, omit_defaults=True):
    """A container's interface; `unique_name` makes asking again safe (law 4).

    `network_labels` is a selector of networks; the server chooses one with free addresses. With
    `slots` the name holds `{slot}`: the server fills in the lowest number from 0 on, below `slots`,
    that no living container has. `keep`: how long the port is kept when its container has ended
    (`containers.keep_s`); "": it goes with it. `device_id` is the container's id, by which its end
    is told from those of others (law 3). `replaces` is a container of this host that has ended and
    had the name, should its end not have been told. `attempt` is greater in each claim of the same
    container. `port_id` is the id that the port gets if it is made for this; the agent may have its
    device ready by then. `takes` is from whom it takes the name, as `held_by` of an earlier answer
    said, "" from nobody who lives: a request that is read late takes nothing from whoever lives by
    then. None takes it from anybody.
    """

    unique_name: Annotated[str, Meta(min_length=1, max_length=255)]
    network_labels: str
    name: Annotated[str, Meta(max_length=255)] = ""
    device_id: Annotated[str, Meta(max_length=255)] = ""
    slots: Annotated[int, Meta(ge=0, le=SLOTS_MAX)] = 0
    keep: Annotated[str, Meta(max_length=32)] = ""
    pod: PodIdentity | None = None
    replaces: Annotated[str, Meta(max_length=255)] = ""
    attempt: Annotated[int, Meta(ge=0)] = 0
    port_id: Annotated[
        str, Meta(pattern=_UUID_OR_NONE, max_length=36, description="a UUID in lower case")
    ] = ""
    takes: Annotated[str, Meta(max_length=HELD_BY_MAX)] | None = None


class ContainerPorts(Message, frozen=True, kw_only=True):
    """`POST /v1/hosts/NAME/container-ports`: make these and bind them to this host."""

    epoch: str
    project_id: Annotated[str, Meta(min_length=1, max_length=255)]
    ports: Annotated[tuple[ContainerPort, ...], Meta(min_length=1, max_length=1000)]


class EndedContainerPort(Message, frozen=True, kw_only=True, omit_defaults=True):
    """A container that ended; what a newer one has by its name by now stays (law 3).

    So does what itself has by a newer claim, if `attempt` says which one has ended.
    """

    unique_name: Annotated[str, Meta(min_length=1, max_length=255)]
    container_id: Annotated[str, Meta(min_length=1, max_length=255)]
    attempt: Annotated[int, Meta(ge=0)] = 0


class EndedContainerPorts(Message, frozen=True, kw_only=True, omit_defaults=True):
    """`DELETE /v1/hosts/NAME/container-ports`: these containers, whose ports are bound here, ended.

    `unique_names` are ports' whichever container has them now. Outcomes come in the order of those,
    then of `ended`; there is one of them at least.
    """

    epoch: str
    project_id: Annotated[str, Meta(min_length=1, max_length=255)]
    unique_names: Annotated[tuple[str, ...], Meta(max_length=1000)] = ()
    ended: Annotated[tuple[EndedContainerPort, ...], Meta(max_length=1000)] = ()


class ItemError(Value, frozen=True, kw_only=True):
    """Why one of many was not done; `status` is HTTP's for such an error."""

    status: int
    type: str
    message: str
    next: str = ""


class ContainerPortOutcome(Value, frozen=True, kw_only=True, omit_defaults=True):
    """What became of one: the port that is there, nothing (it is gone), or an error.

    `held_by`, with the error `NameHeld`, is who lives by the name: for `takes`.
    """

    port: Port | None = None
    error: ItemError | None = None
    held_by: str = ""


class ContainerPortOutcomes(Value, frozen=True, kw_only=True):
    """In the order in which they were asked for."""

    outcomes: tuple[ContainerPortOutcome, ...]


class LeaseRequest(Message, frozen=True, kw_only=True):
    holder: str
    ttl_s: float


class LeaseState(Value, frozen=True, kw_only=True):
    """Who holds a lease, or held it last; times in Unix seconds.

    `since` is when it began to be so: the holder's tenure, or that nobody holds it.
    """

    name: str
    holder: str
    is_held: bool
    since: float
    expires_at: float


class LeaseGrant(Value, frozen=True, kw_only=True):
    """`token` grows with each holder: whoever writes to a device shows it (law 3)."""

    token: int


CAUSE_UNPLUGGED = "unplugged"
"""The cause of a `down` report that says the device was unplugged."""
