"""What is left of containers, found by comparing host, records and server. Pure.

    record, no veth, its namespace is gone     DEAD         ended as by DEL
    record, no veth, its namespace is there    CUT          told: the container may run
    record, its port is gone, or went away     PORTLESS     told: the container may run
    record, veth and port, not plugged         UNPLUGGED    plugged again
    device and port, no record                 UNRECORDED   a record is made: the container may run
    device of ours, no record and no port      STRAY        removed
    named like a device of ours, no mark       UNMARKED     told, and left alone
    port, no record and no device              PORT         ended at the server
    file of a record that cannot be read,
      no device and no port                    UNREADABLE   removed

A veth's two ends live and die together, and a namespace takes its own with it: where the host's end
is, somebody holds the namespace, whatever became of its path. What concerns the server's ports is
found only while all of them are known.

Each of the four is read after the one before it: ports, devices, records, namespaces. A verb writes
its record before it makes anything, and drops it after all is gone; so what is without a record has
none, or lost it a moment ago. That is why a finding is acted upon when the next look has it again.
"""

from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum

from netwright.agent.cni.made import LINK_MARK, device_of, mark_of
from netwright.agent.cni.records import Key, Record, Stage
from netwright.agent.live import LIVE
from netwright.agent.wiring import Plugged
from netwright.model.resources import Port, Value
from netwright.model.states import PortState
from netwright.model.wire import CONTAINER_OWNER


class Case(StrEnum):
    """See the module's table. The values are those of the agent's log and counters."""

    DEAD = "container gone without DEL"
    CUT = "interface gone from a container"
    PORTLESS = "container without its port"
    UNPLUGGED = "container unplugged"
    UNRECORDED = "container without record"
    STRAY = "device without container"
    UNMARKED = "device without mark"
    PORT = "port without container"
    UNREADABLE = "record that cannot be read"


TOLD = frozenset({Case.CUT, Case.PORTLESS, Case.UNMARKED})
"""What is only told: nothing proves that no container lives by it."""

NEXT: Mapping[Case, str] = {
    Case.CUT: "Delete the container, or let its runtime do DEL and ADD; until then nobody else gets"
    " its address.",
    Case.PORTLESS: "Delete the container: its address is no longer its own, and this host lets none"
    " of its packets pass.",
    Case.UNMARKED: "Look whose it is; a device of that name which is not Netwright's stays as it"
    " is.",
}


class Finding(Value, frozen=True, kw_only=True):
    """Equal in two looks when it is the same. What a case does not concern is empty."""

    case: Case
    key: Key = ("", "")
    device: str = ""
    port_id: str = ""

    @property
    def what(self) -> str:
        """Its subject, in words."""
        container_id, ifname = self.key
        if container_id:
            return f"{ifname or 'interfaces'} of container {container_id}"
        return self.device or f"port {self.port_id}"


class OnHost(Value, frozen=True, kw_only=True):
    """What is on the host: devices that are plugged with our mark, and veths named like ours.

    `links` has their alias, by name. `namespaces` are those of attached records whose veth is not
    there, as they are now: "" when there is none at that path; of those left out nothing is known.
    """

    plugged: Mapping[str, Plugged]
    links: Mapping[str, str]
    namespaces: Mapping[Key, str] = {}


def without_veth(records: Iterable[Record], links: Iterable[str]) -> tuple[Record, ...]:
    """The attached records whose host's end is not there: of these the namespaces are asked for."""
    there = frozenset(links)
    return tuple(
        one
        for one in records
        if one.stage is Stage.ATTACHED and one.fit is not None and one.fit.device not in there
    )


def is_dead(record: Record, namespace: str) -> bool:
    """Whether the namespace of a record without veth is gone; `namespace` is what is there now.

    An older release's record does not say which namespace it was: then one at its path may be it.
    """
    return not namespace or bool(record.namespace and record.namespace != namespace)


def findings(
    host: str,
    records: Mapping[Key, Record],
    on_host: OnHost,
    ports: Mapping[str, Port] | None,
    unreadable: frozenset[Key] = frozenset(),
) -> frozenset[Finding]:
    """`ports` are the server's of this host; None while not all of them are known."""
    found = set(_of_records(records.values(), on_host))
    if ports is not None:
        of_ports = _OfPorts(host, records, on_host, ports)
        found.update(of_ports.portless(), of_ports.unplugged(), of_ports.devices())
        found.update(of_ports.strays(), of_ports.unreadable(unreadable))
    return frozenset(found)


def _of_records(records: Iterable[Record], on_host: OnHost) -> Iterator[Finding]:
    for record in without_veth(records, on_host.links):
        namespace = on_host.namespaces.get(record.key)
        if namespace is None:
            continue
        case = Case.DEAD if is_dead(record, namespace) else Case.CUT
        if case is Case.CUT and record.moved:
            continue
        device = record.fit.device if record.fit is not None else ""
        yield Finding(case=case, key=record.key, device=device, port_id=record.port_id)


class _OfPorts:
    """What can be told with the server's ports at hand."""

    def __init__(
        self,
        host: str,
        records: Mapping[Key, Record],
        on_host: OnHost,
        ports: Mapping[str, Port],
    ) -> None:
        self._records = records
        self._on_host = on_host
        self._ports = ports
        self._here = {id_: port for id_, port in ports.items() if _is_containers(port, host)}
        self._devices = on_host.plugged.keys() | on_host.links.keys()
        self._recorded = {one.fit.device for one in records.values() if one.fit is not None}

    def portless(self) -> Iterator[Finding]:
        for one in self._records.values():
            if one.stage is Stage.ATTACHED and (one.moved or one.port_id not in self._ports):
                yield Finding(case=Case.PORTLESS, key=one.key, port_id=one.port_id)

    def unplugged(self) -> Iterator[Finding]:
        """Whoever did it; a database of Open vSwitch that was made anew has no port of ours."""
        for one in self._records.values():
            if one.stage is not Stage.ATTACHED or one.moved or one.fit is None:
                continue
            if one.port_id not in self._here:
                continue
            device = one.fit.device
            if device in self._on_host.links and device not in self._on_host.plugged:
                yield Finding(case=Case.UNPLUGGED, key=one.key, device=device, port_id=one.port_id)

    def devices(self) -> Iterator[Finding]:
        for device in sorted(self._devices - self._recorded):
            row, alias = self._on_host.plugged.get(device), self._on_host.links.get(device)
            if row is None and not (alias or "").startswith(LINK_MARK):
                yield Finding(case=Case.UNMARKED, device=device)
            elif row is not None and alias is not None and self._may_live(row):
                yield Finding(case=Case.UNRECORDED, key=row.key, device=device, port_id=row.port_id)
            else:
                key = row.key if row is not None else ((alias or "").removeprefix(LINK_MARK), "")
                yield Finding(case=Case.STRAY, key=key, device=device)

    def strays(self) -> Iterator[Finding]:
        """Not of a container for which an ADD is under way: that may be its port."""
        asking = {one.container_id for one in self._records.values() if not one.port_id}
        known = {(one.port_id, one.container_id) for one in self._records.values()}
        of_port = {one.port_id for one in self._records.values() if not one.moved}
        for id_, port in self._here.items():
            is_known = id_ in of_port or (id_, port.device_id) in known
            if is_known or port.device_id in asking or self._has_device(port):
                continue
            yield Finding(case=Case.PORT, key=(port.device_id, ""), port_id=id_)

    def unreadable(self, keys: frozenset[Key]) -> Iterator[Finding]:
        busy = {row.key for row in self._on_host.plugged.values()}
        of_ports = {port.device_id for port in self._here.values()}
        for key in keys - busy:
            if key[0] not in of_ports:
                yield Finding(case=Case.UNREADABLE, key=key)

    def _has_device(self, port: Port) -> bool:
        device = device_of(port.id)
        row = self._on_host.plugged.get(device)
        is_plugged = row is not None and row.key[0] == port.device_id
        return is_plugged or self._on_host.links.get(device) == mark_of(port.device_id)

    def _may_live(self, row: Plugged) -> bool:
        port = self._here.get(row.port_id)
        is_its = port is not None and port.device_id == row.key[0]
        return is_its and row.key not in self._records


def _is_containers(port: Port, host: str) -> bool:
    """Whether it is one that an agent made for a container of this host, which holds it still."""
    return (
        port.device_owner == CONTAINER_OWNER
        and bool(port.unique_name)
        and port.state is not PortState.RELEASING
        and (binding := port.active_binding) is not None
        and binding.host == host
        and binding.state in LIVE
    )
