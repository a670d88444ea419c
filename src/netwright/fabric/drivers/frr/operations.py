"""What is done on a switch, one value each, with interfaces by name. Pure; `str` is for people.

`space` is the network namespace: a VRF's name, "" the switch's own.
"""

from netwright.fabric.config import Nat
from netwright.fabric.drivers.bpf import programs
from netwright.model.resources import Value


class AddNamespace(Value, frozen=True):
    name: str
    alias: str

    def __str__(self) -> str:
        return f"vrf {self.name}: add ({self.alias})"


class RemoveNamespace(Value, frozen=True):
    name: str

    def __str__(self) -> str:
        return f"vrf {self.name}: remove"


class Configure(Value, frozen=True):
    """Lines of a daemon's configuration. `patient`: what bars them is about to go in the daemon."""

    daemon: str
    lines: tuple[str, ...]
    patient: bool = False

    def __str__(self) -> str:
        return f"{self.daemon}: {' / '.join(self.lines)}"


class AddBridge(Value, frozen=True):
    space: str
    name: str
    alias: str
    mac_address: str | None
    mtu: int

    def __str__(self) -> str:
        mac = f" address {self.mac_address}" if self.mac_address else ""
        return f"{_in(self.space)}: bridge {self.name} mtu {self.mtu}{mac} ({self.alias})"


class AddVxlan(Value, frozen=True):
    space: str
    name: str
    alias: str
    vni: int
    mtu: int

    def __str__(self) -> str:
        return f"{_in(self.space)}: vxlan {self.name} id {self.vni} mtu {self.mtu} ({self.alias})"


class AddVeth(Value, frozen=True):
    """The outer end in the switch's own namespace, the inner in `space`."""

    outer: str
    inner: str
    space: str
    alias: str
    mtu: int

    def __str__(self) -> str:
        return f"veth {self.outer} to {self.inner} in {_in(self.space)} ({self.alias})"


class Set(Value, frozen=True):
    """`master` "" takes it out of its bridge; `move` is another namespace."""

    space: str
    name: str
    up: bool | None = None
    alias: str | None = None
    mac_address: str | None = None
    mtu: int | None = None
    master: str | None = None
    move: str | None = None

    def __str__(self) -> str:
        words = [
            f"{key} {value}"
            for key in ("alias", "mac_address", "mtu", "master", "move")
            if (value := getattr(self, key)) is not None
        ]
        words += [] if self.up is None else ["up" if self.up else "down"]
        return f"{_in(self.space)}: {self.name} {', '.join(words)}"


class SetTunnelPort(Value, frozen=True):
    """A vxlan's part in its bridge: it answers for whom EVPN knows.

    EVPN teaches it; with `learning` frames do so too, before EVPN has been told.
    """

    space: str
    name: str
    learning: bool

    def __str__(self) -> str:
        learning = "on" if self.learning else "off"
        return f"{_in(self.space)}: {self.name} learning {learning}, neigh_suppress on"


class SetSender(Value, frozen=True):
    """Who speaks into a tunnel for a gateway: `filter` as `tunnels` names it; "": none there."""

    space: str
    name: str
    filter: str

    def __str__(self) -> str:
        if not self.filter:
            return f"{_in(self.space)}: {self.name} sends as it is told"
        common, own = programs.parse_own_sender_name(self.filter)
        return f"{_in(self.space)}: {self.name} sends as {own} what is of {common}"


class AddEnd(Value, frozen=True):
    """A tunnel end that entries of vxlans may lead to, by the address of its leaf."""

    address: str

    def __str__(self) -> str:
        return f"tunnel end {self.address}"


class RemoveEnd(Value, frozen=True):
    """All entries that lead there go with it."""

    address: str

    def __str__(self) -> str:
        return f"remove tunnel end {self.address}"


class Lead(Value, frozen=True):
    """Behind which tunnel end of ours a vxlan has a MAC, whoever else says so; "": nobody says."""

    space: str
    name: str
    mac_address: str
    address: str

    def __str__(self) -> str:
        where = self.address or "nowhere"
        return f"{_in(self.space)}: {self.name} leads {self.mac_address} to {where}"


class HandOver(Value, frozen=True):
    """A vxlan's MAC stays behind an end, but as FRR says it: FRR's next word on it counts."""

    space: str
    name: str
    mac_address: str
    address: str

    def __str__(self) -> str:
        what = f"{self.mac_address} behind {self.address}"
        return f"{_in(self.space)}: {self.name} leaves {what} to zebra"


class Forget(Value, frozen=True):
    """The MACs that were learned at a port of a bridge."""

    space: str
    name: str

    def __str__(self) -> str:
        return f"{_in(self.space)}: {self.name} flush"


class AcceptArp(Value, frozen=True):
    space: str
    name: str

    def __str__(self) -> str:
        return f"{_in(self.space)}: {self.name} arp_accept"


class Silence(Value, frozen=True):
    """No IPv6 address of its own."""

    space: str
    name: str

    def __str__(self) -> str:
        return f"{_in(self.space)}: {self.name} addr_gen_mode none"


class DeleteLink(Value, frozen=True):
    space: str
    name: str

    def __str__(self) -> str:
        return f"{_in(self.space)}: delete {self.name}"


class ChangeAddress(Value, frozen=True):
    space: str
    name: str
    address: str
    add: bool

    def __str__(self) -> str:
        return f"{_in(self.space)}: {self.name} {_verb(self.add)} {self.address}"


class ChangeRoute(Value, frozen=True):
    space: str
    destination: str
    nexthop: str
    add: bool

    def __str__(self) -> str:
        return f"{_in(self.space)}: route {_verb(self.add)} {self.destination} via {self.nexthop}"


class Translate(Value, frozen=True):
    """What a gateway's interface in a VRF translates; None: nothing.

    Connections that contradict it are forgotten, and go on as it says.
    """

    space: str
    name: str
    nat: Nat | None

    def __str__(self) -> str:
        what = "nothing" if self.nat is None else self.nat.address
        return f"{_in(self.space)}: {self.name} translates to {what}"


class Announce(Value, frozen=True):
    """Tell an interface's neighbours that it has an address of IPv4 (with prefix length) now."""

    space: str
    name: str
    address: str

    def __str__(self) -> str:
        return f"{_in(self.space)}: {self.name} announces {self.address}"


class Attach(Value, frozen=True):
    """A filter on an interface's ingress; `filter` as `bpf.programs` and `reading` name it."""

    name: str
    filter: str

    def __str__(self) -> str:
        return f"tc {self.name}: {self.filter}"


class Detach(Value, frozen=True):
    name: str

    def __str__(self) -> str:
        return f"tc {self.name}: none of ours"


class DisableChecksumOffload(Value, frozen=True):
    name: str

    def __str__(self) -> str:
        return f"{self.name}: tx checksum off"


class MapVlan(Value, frozen=True):
    """VLAN (0: untagged) of a port to the outer end of a veth, and back; None: to nowhere."""

    port: int
    vlan: int
    veth: str | None

    def __str__(self) -> str:
        return f"map port {self.port} vlan {self.vlan} to {self.veth or 'nowhere'}"


class Fence(Value, frozen=True):
    """A MAC or address that a port drops; `port_id` None: no longer."""

    port: int
    sender: str
    port_id: str | None

    def __str__(self) -> str:
        return f"fence port {self.port}: {self.sender} {self.port_id or 'no longer'}"


Operation = (
    AddNamespace
    | RemoveNamespace
    | Configure
    | AddBridge
    | AddVxlan
    | AddVeth
    | Set
    | SetTunnelPort
    | SetSender
    | AddEnd
    | RemoveEnd
    | Lead
    | HandOver
    | Forget
    | AcceptArp
    | Silence
    | DeleteLink
    | ChangeAddress
    | ChangeRoute
    | Translate
    | Announce
    | Attach
    | Detach
    | DisableChecksumOffload
    | MapVlan
    | Fence
)


def _in(space: str) -> str:
    return space or "switch"


def _verb(add: bool) -> str:  # noqa: FBT001 (a verb of two)
    return "add" if add else "remove"
