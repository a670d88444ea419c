"""What this host should wire, from what the server says of it. Pure.

ports bound here, live ──▶ endpoints | refusals (cannot be wired here) | waiting, unplaced (not yet)
standbys here, for when they are activated ──▶ endpoints through which no packet passes
ports withdrawing or fenced here, and all others ──▶ nothing: their wiring goes
"""

from collections.abc import Iterable, Mapping

from msgspec.structs import replace

from netwright.agent.groups import NO_GROUPS, Filters, KnownGroups
from netwright.agent.live import live_binding
from netwright.agent.placing import FabricUplink, Place, places
from netwright.agent.wiring import Endpoint
from netwright.model.planes import planes_on
from netwright.model.resources import Attachment, Network, NetworkType, Port, Segment, Value
from netwright.model.security import SecurityGroup
from netwright.model.states import BindingState, Plane


class Desired(Value, frozen=True, kw_only=True):
    """By port id: what to wire once its device is there; why some cannot be, or not yet.

    `waiting` are ports of which too little is known, so that what stands of them stays; `moving`
    ones wait for another host (`arriving`: those of fabric networks, as they will be wired),
    `unplaced` ones for their fabric network's VLAN, and are unwired
    here until then. `by_hand` are bound here and need no wiring of ours, as bare metal on a VLAN.
    `groups` are the security groups that must be known for all that, `remote_groups` those whose
    members must be.
    """

    endpoints: Mapping[str, Endpoint] = {}
    refusals: Mapping[str, str] = {}
    waiting: Mapping[str, str] = {}
    moving: Mapping[str, str] = {}
    arriving: Mapping[str, Endpoint] = {}
    unplaced: Mapping[str, str] = {}
    by_hand: frozenset[str] = frozenset()
    groups: frozenset[str] = frozenset()
    remote_groups: frozenset[str] = frozenset()

    @property
    def later(self) -> Mapping[str, str]:
        """Why ports are not wired yet, though nothing on this host is in the way."""
        return {**self.waiting, **self.moving, **self.unplaced}


def desired(
    host: str,
    physical_networks: Iterable[str],
    ports: Mapping[str, Port],
    networks: Mapping[str, Network],
    known: KnownGroups = NO_GROUPS,
    *,
    attachments: Mapping[str, Attachment] | None = None,
    fabric: FabricUplink | None = None,
) -> Desired:
    """Sort the host's ports by what is to be done with them.

    Among them are those that were never bound and whose device is here: they have an inactive
    binding, and are wired ahead. `attachments` are this host's, by network id; `fabric` is its way
    to its leaves, if it has one.
    """
    place_of = places(
        host,
        ports.values(),
        networks,
        attachments or {},
        physical_networks=frozenset(physical_networks),
        fabric=fabric,
    )
    endpoints: dict[str, Endpoint] = {}
    refusals: dict[str, str] = {}
    waiting: dict[str, str] = {}
    moving: dict[str, str] = {}
    arriving: dict[str, Endpoint] = {}
    unplaced: dict[str, str] = {}
    by_hand: set[str] = set()
    needed: set[str] = set()
    remote: set[str] = set()
    filters = Filters(known)
    for port in ports.values():
        binding = live_binding(port, host)
        if binding is None:
            continue
        network = networks.get(port.network_id)
        if network is None:
            waiting[port.id] = f"network {port.network_id} has not come from the server yet"
        elif Plane.UNDERLAY not in planes_on(binding, port, network):
            by_hand.add(port.id)
        elif (segment := (place := place_of[network.id]).segment) is None:
            _tell(port.id, place, refusals=refusals, waiting=waiting, unplaced=unplaced)
        elif binding.is_standby:
            of_port = filters.of(port)  # known by the time that it is activated
            needed |= of_port.needed
            remote |= of_port.remote
            endpoints[port.id] = silent(endpoint(port, network, segment))
        elif elsewhere := _still_wired_on(port, host):
            moving[port.id] = f"host {elsewhere} has not confirmed that it withdrew the port"
            if network.segment.network_type is NetworkType.VXLAN:
                arriving[port.id] = endpoint(port, network, segment)
        else:
            of_port = filters.of(port)
            needed |= of_port.needed
            remote |= of_port.remote
            if of_port.missing:
                waiting[port.id] = of_port.missing
            else:
                endpoints[port.id] = endpoint(port, network, segment, of_port.groups)
    return Desired(
        endpoints=endpoints,
        refusals=refusals,
        waiting=waiting,
        moving=moving,
        arriving=arriving,
        unplaced=unplaced,
        by_hand=frozenset(by_hand),
        groups=frozenset(needed),
        remote_groups=frozenset(remote),
    )


def _tell(
    port_id: str,
    place: Place,
    *,
    refusals: dict[str, str],
    waiting: dict[str, str],
    unplaced: dict[str, str],
) -> None:
    """Why a port is not wired whose network has no segment here."""
    if place.refusal:
        refusals[port_id] = place.refusal
    elif place.unknown:
        waiting[port_id] = place.unknown
    else:
        unplaced[port_id] = place.none_yet


def _still_wired_on(port: Port, host: str) -> str:
    """Hosts that the port moves away from and that may still answer for it (law 5)."""
    return ", ".join(
        binding.host
        for binding in port.bindings
        if binding.host != host and binding.state is BindingState.WITHDRAWING
    )


def endpoint(
    port: Port,
    network: Network,
    segment: Segment,
    groups: tuple[SecurityGroup, ...] | None = None,
) -> Endpoint:
    """The port's wiring, free of its bindings."""
    return Endpoint(
        port_id=port.id,
        network_id=network.id,
        segment=segment,
        mac_address=port.mac_address,
        addresses=tuple(fixed.ip_address for fixed in port.fixed_ips),
        allowed_address_pairs=port.allowed_address_pairs,
        port_security_enabled=port.port_security_enabled,
        security_groups=groups,
        admin_state_up=port.admin_state_up and network.admin_state_up,
        mtu=network.mtu,
    )


def silent(endpoint: Endpoint) -> Endpoint:
    """The endpoint while another host answers for its port: plugged, and no packet passes.

    Nor is it announced. Its device may run already (the orchestrator activates when it does).
    """
    return replace(endpoint, admin_state_up=False)
