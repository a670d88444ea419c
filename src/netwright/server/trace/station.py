"""An end of the way: a port with what is known around it, and whether it can speak at all."""

from collections.abc import Iterable, Mapping
from typing import NoReturn

from netwright.model.resources import (
    Host,
    HostState,
    Network,
    NetworkType,
    Port,
    Segment,
    Subnet,
    Value,
    VifType,
    VnicType,
)
from netwright.model.routing import FloatingIp, FloatingStatus
from netwright.model.segments import segment_on, segments_in_words
from netwright.model.states import BindingState
from netwright.server.trace.hosts import HostWiring


class PathEnds(Exception):
    """The packet gets no further; `next` is what to do about it."""

    def __init__(self, reason: str, *, then: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.next = then


class WayUnknown(PathEnds):
    """It may get further: how is not known here."""


class Station(Value, frozen=True, kw_only=True):
    """A port, its network and its subnets by id.

    `host` is the active binding's, None when it has never registered. `address` is the one that
    was asked for; None leaves the choice to the trace. `floating`: the port holds its address.
    """

    port: Port
    network: Network
    subnets: Mapping[str, Subnet]
    host: Host | None = None
    address: str | None = None
    floating: FloatingIp | None = None

    @property
    def label(self) -> str:
        return f"{self.port.name} ({self.port.id})" if self.port.name else self.port.id

    @property
    def host_name(self) -> str:
        binding = self.port.active_binding
        return binding.host if binding else ""

    @property
    def is_bare_metal(self) -> bool:
        return self.port.vnic_type is VnicType.BAREMETAL

    @property
    def segment_label(self) -> str:
        return f"network {self.network.name or self.network.id}, {_in_words(self.segment)}"

    @property
    def segment(self) -> Segment:
        """The network's segment that it is on: its host's, or that of bare metal."""
        has = self.host.physical_networks if self.host is not None else ()
        found = segment_on(self.network, has)
        return found.segment if found is not None else self.network.segment


def _in_words(segment: Segment) -> str:
    if segment.segmentation_id is None:
        return f"flat on {segment.physical_network}"
    return f"VLAN {segment.segmentation_id} of {segment.physical_network}"


def subnets(source: Station, target: Station) -> tuple[Subnet, Subnet]:
    """The subnets that they speak from: a common one if there is, else of one IP version.

    Raises PathEnds when there is no such pair.
    """
    pairs = [
        (one, other)
        for one in _candidates(source)
        for other in _candidates(target)
        if one.ip_version == other.ip_version
    ]
    if not pairs:
        raise PathEnds(
            f"Ports {source.label} and {target.label} have no addresses of one IP version.",
            then="Give one of them an address of the other's IP version.",
        )
    return min(pairs, key=lambda pair: (pair[0].id != pair[1].id, pair[0].ip_version))


def require_one_segment(source: Station, target: Station, subnet: Subnet, other: Subnet) -> None:
    """Raises PathEnds when no router is between them, and another segment is."""
    if subnet.id == other.id and source.segment != target.segment:
        raise PathEnds(
            f"Ports {source.label} and {target.label} have addresses of one subnet, and are on two "
            f"segments: {source.segment_label}, and {target.segment_label}.",
            then="Give each segment subnets of its own (openstack subnet create --network-segment),"
            " or bind both ports on one.",
        )


def require_attached(station: Station) -> None:
    """Raises PathEnds unless intent lets the port speak and be spoken to."""
    port, network = station.port, station.network
    binding = port.active_binding
    if binding is None:
        raise PathEnds(
            f"Port {station.label} is bound to no host.",
            then=f"Bind it: openstack port set --host HOST {port.id}.",
        )
    if binding.vif_type is VifType.BINDING_FAILED:
        raise PathEnds(
            f"Port {station.label} could not be bound to host {binding.host}: {binding.cause}.",
            then=f"netwright port explain {port.id} says what to do.",
        )
    if not port.admin_state_up:
        raise PathEnds(
            f"Port {station.label} is administratively down.",
            then=f"Enable it: openstack port set --enable {port.id}.",
        )
    if not network.admin_state_up:
        raise PathEnds(
            f"Port {station.label} is in {station.segment_label}, administratively down.",
            then=f"Enable it: openstack network set --enable {network.id}.",
        )


def require_traceable(*stations: Station) -> None:
    """Raises WayUnknown for ports of fabric networks, PathEnds if they cannot speak anyhow.

    And for floating IPs, which lead on to a port, or say why they do not.
    """
    for one in stations:
        if one.floating is not None:
            _end_at(one.floating)
    fabric = [one for one in stations if one.network.segment.network_type is NetworkType.VXLAN]
    if not fabric:
        return
    for one in stations:
        require_attached(one)
        require_wired(one)
    network = fabric[0].network
    raise WayUnknown(
        f"Network {network.name or network.id} is a fabric network: which leaves and spines a "
        "packet takes there is the switches' choice, and is not computed.",
        then=f"netwright port explain {fabric[0].port.id} says whether its fabric is up; ping says "
        "whether it arrives.",
    )


def _end_at(floating: FloatingIp) -> NoReturn:
    """Raises what becomes of packets to and from a floating IP."""
    said = f"{floating.floating_ip_address} is a floating IP ({floating.id})"
    if floating.port_id is None:
        raise PathEnds(
            f"{said} that leads to no port: nobody answers for it.",
            then=f"Lead it to one: openstack floating ip set --port PORT {floating.id}.",
        )
    led = f"{floating.fixed_ip_address} of port {floating.port_id}"
    if floating.status is not FloatingStatus.ACTIVE:
        raise PathEnds(
            f"{said} of {led}, and is {floating.status}: {floating.cause}.",
            then=f"netwright port explain {floating.port_id} says what to do.",
        )
    raise WayUnknown(
        f"{said}: a border translates it to {led}, which answers with it.",
        then=f"Go on to the port: netwright trace SRC {floating.port_id}.",
    )


def require_wired(station: Station) -> None:
    """Raises PathEnds when the port's host has not wired it: then nothing passes its tap."""
    binding = station.port.active_binding
    assert binding is not None, "the station is attached"
    if station.is_bare_metal or binding.state is BindingState.UP:
        return
    raise PathEnds(
        f"Port {station.label} is not wired on host {binding.host}: its binding there is "
        f"{binding.state}.",
        then=f"netwright port explain {station.port.id} says what it waits for.",
    )


def last_told(stations: Iterable[Station]) -> tuple[str, str]:
    """What to add when hosts are silent: their ports are as last reported. Empty when none is."""
    silent = sorted({s.host_name for s in stations if s.host and s.host.state is HostState.UNKNOWN})
    if not silent:
        return "", ""
    names = ", ".join(silent)
    return (
        f"As last reported: nothing is heard of {names}, and so not known what passes there now.",
        f"Look at the agent there: netwright host show {silent[0]}.",
    )


def require_gateway(station: Station, subnet: Subnet) -> None:
    """Raises PathEnds when nothing can leave the subnet."""
    if subnet.gateway_ip is None:
        raise PathEnds(
            f"Subnet {subnet.cidr} of {station.segment_label}, has no gateway: nothing passes "
            "between it and other subnets.",
            then=f"Set one: openstack subnet set --gateway ADDRESS {subnet.id}.",
        )


def wiring_of(station: Station, wirings: Mapping[str, HostWiring]) -> HostWiring:
    """How the port's host wires instances. Raises PathEnds when it cannot serve the port."""
    host, name = station.host, station.host_name
    if host is None:
        raise PathEnds(
            f"Host {name} of port {station.label} has never registered.",
            then=f"Start netwright agent --host {name} there.",
        )
    if host.state is HostState.FENCED:
        raise PathEnds(
            f"Host {name} of port {station.label} is fenced.",
            then=f"When it is clean again: netwright host unfence {name}.",
        )
    if host.driver not in wirings:
        raise WayUnknown(
            f"How driver {host.driver} of host {name} wires instances is not known here.",
            then=f"Trace hosts of driver {', '.join(wirings)}.",
        )
    if segment_on(station.network, host.physical_networks) is None:
        raise PathEnds(
            f"Host {name} has no bridge to {segments_in_words(station.network)}, where "
            f"port {station.label} is.",
            then=f"Map it in the agent's physical_networks on {name}, or bind the port elsewhere.",
        )
    return wirings[host.driver]


def _candidates(station: Station) -> list[Subnet]:
    return [
        station.subnets[fixed.subnet_id]
        for fixed in station.port.fixed_ips
        if fixed.subnet_id in station.subnets and station.address in (None, fixed.ip_address)
    ]
