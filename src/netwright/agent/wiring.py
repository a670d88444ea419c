"""What the agent's loop asks of a data plane: one small protocol, whatever the driver.

The loop decides what shall be wired (`desired`) and what is told to the server (`reports`); a
driver knows how. It reads back what stands, adopts what bears our mark (law 7), applies only the
difference, and starts no process per port.
"""

from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum
from typing import Protocol

from netwright.agent.dhcp.served import Served
from netwright.agent.members import NO_MEMBERSHIPS, Memberships
from netwright.agent.qos import Qos
from netwright.model.errors import Category, Fault, NetwrightError
from netwright.model.resources import AddressPair, Nic, Segment, Value
from netwright.model.security import SecurityGroup


class WiringError(NetwrightError):
    """The data plane cannot be changed or read now; what stands goes on forwarding."""

    fault = Fault.DEVICE
    category = Category.UNAVAILABLE


class Device(Value, frozen=True, kw_only=True):
    """A device on this host that names a port (`external_ids:iface-id`)."""

    port_id: str
    name: str


class NewDevice(Value, frozen=True, kw_only=True):
    """A device that is to be plugged. `owner` says for whom, for whoever looks at the host.

    `is_limited`: what leaves by it has a limit in the kernel, which the data plane leaves alone.
    `beside`: a port of the network that its own is expected in, which is not known yet; nothing
    passes the device, and its MAC is "" (ADR 53).
    """

    name: str
    port_id: str
    mac_address: str
    mtu: int
    owner: str
    is_limited: bool = False
    beside: str = ""


class Plugged(Value, frozen=True, kw_only=True):
    """What is plugged with the mark of `Plugs`."""

    port_id: str
    owner: str

    @property
    def key(self) -> tuple[str, str]:
        """The container's id and its interface, as `owner` has them."""
        container_id, _, ifname = self.owner.partition("@")
        return container_id, ifname


class Plugs(Protocol):
    """Where containers' devices are plugged; what an orchestrator does for its instances."""

    async def plug(self, device: NewDevice) -> None:
        """Raises WiringError; then it is not known whether it is plugged."""

    async def unplug(self, name: str, owner: str | None = None) -> None:
        """Nothing happens when it is not there, or is not one that `plug` made (for that owner).

        Raises WiringError.
        """

    async def plugged(self) -> Mapping[str, Plugged]:
        """All that `plug` made, by name. Raises WiringError."""


class Inside(Value, frozen=True, kw_only=True):
    """Of a trunk's subport: whose device its frames come by, and the VLAN tag they bear there."""

    parent_id: str
    vlan: int


class Endpoint(Value, frozen=True, kw_only=True):
    """How a port's device shall be wired here.

    It holds no generation: a new binding of the same port to this host changes no flow. With
    `admin_state_up` false the device stays plugged and no packet passes. `addresses` are the
    port's own; with `port_security_enabled` no other source passes but `allowed_address_pairs`.
    `security_groups` None: it is not filtered; else what none of their rules allows is dropped.
    `qos` None: it has no limits, and is not marked. `inside` None: it has a device of its own.
    `served`: what its DHCP client is answered; None: what the client says goes into the network.
    """

    port_id: str
    network_id: str
    segment: Segment
    mac_address: str
    addresses: tuple[str, ...] = ()
    allowed_address_pairs: tuple[AddressPair, ...] = ()
    port_security_enabled: bool = True
    security_groups: tuple[SecurityGroup, ...] | None = None
    qos: Qos | None = None
    inside: Inside | None = None
    admin_state_up: bool = True
    mtu: int = 1500
    served: Served | None = None


class WiringStatus(StrEnum):
    """How far a port's wiring came.

    UP: read back, as desired; a cause names what of it could not be. PENDING: the driver waits for
    the device and will call `changed`. REFUSED: it cannot be, for the cause. CUT_OFF: as UP, and
    the host has no way out for it.
    """

    UP = "up"
    CUT_OFF = "cut_off"
    PENDING = "pending"
    REFUSED = "refused"

    @property
    def stands(self) -> bool:
        """Whether the wiring is as desired, whatever is beyond it."""
        return self is WiringStatus.UP or self is WiringStatus.CUT_OFF


class Outcome(Value, frozen=True, kw_only=True):
    """What became of one endpoint. `cause` says why it is not (all) up, in an operator's words.

    `is_opening`: it is PENDING for its device alone; packets will find all that is desired as soon
    as they pass.
    """

    status: WiringStatus
    cause: str = ""
    is_opening: bool = False


class Wired(Value, frozen=True, kw_only=True):
    """What stands after `apply`.

    `outcomes` has one for each desired endpoint whose device is on the host; a port that is not
    in it has no device here. `standing` are ports that are not desired and whose wiring of ours
    stands nevertheless, because sweeping was not allowed or failed: they are not withdrawn.
    """

    outcomes: Mapping[str, Outcome] = {}
    standing: frozenset[str] = frozenset()


class Wiring(Protocol):
    """A host's data plane. Its methods are called from one event loop, `apply` never twice at once.

    `run` keeps base wiring (bridges, bond, management address) as the local configuration says,
    from the first moment and without the server, and makes it anew when the data plane restarts.
    It ends only by cancellation, and leaves everything in place. It calls `changed` whenever
    `devices`, `nics` or `conditions` may answer something new or `apply` should be called again.
    """

    async def run(self, changed: Callable[[], None]) -> None: ...

    async def wait_ready(self, timeout_s: float) -> None:
        """Return once base wiring stands and what is there was read back. Raises WiringError."""

    async def apply(
        self,
        desired: Mapping[str, Endpoint],
        *,
        sweep: bool,
        memberships: Memberships = NO_MEMBERSHIPS,
    ) -> Wired:
        """Wire what is desired, by port id; with `sweep`, remove what is ours and not desired.

        `memberships` are complete for all remote groups that the endpoints' rules name. Traffic of
        what stays is not touched. One endpoint that cannot be wired is refused alone.
        Raises WiringError when nothing could be done: then nothing is known to have changed.
        """

    def announce(self, ports: Iterable[str]) -> None:
        """Let those of them through which packets pass make themselves known once more, soon.

        Each that comes up, or lies on another segment than before, does so without being asked.
        """

    async def announce_ahead(self, endpoints: Iterable[Endpoint]) -> None:
        """Tell the switches of these, whose devices are here, though no packet passes yet."""

    def devices(self) -> Mapping[str, Device]:
        """The devices on the host that name a port, by port id."""

    def nics(self) -> tuple[Nic, ...]:
        """The physical NICs: link, and whether traffic may use them (BFD, LACP)."""

    def conditions(self) -> Mapping[str, str]:
        """Named facts about the host's data plane with their causes, such as `redundancy lost`."""
