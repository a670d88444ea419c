"""What this host should wire, from what the server says of it. Pure.

ports bound here, live ──▶ endpoints | refusals (cannot be wired here) | waiting, unplaced (not yet)
standbys here, for when they are activated ──▶ endpoints through which no packet passes
ports withdrawing or fenced here, and all others ──▶ nothing: their wiring goes
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from functools import partial

from msgspec.structs import replace

from netwright.agent.dhcp.served import Served, WhereServed, served
from netwright.agent.groups import NO_GROUPS, Filters, KnownGroups
from netwright.agent.live import live_binding
from netwright.agent.placing import FabricUplink, Place, misplaced, places
from netwright.agent.qos import Qos, QosNotKnown, QosNotPossible, qos_of
from netwright.agent.wiring import Endpoint, Inside
from netwright.model.planes import planes_on
from netwright.model.qos import QosPolicy
from netwright.model.resources import (
    Attachment,
    Binding,
    Network,
    NetworkType,
    Port,
    Segment,
    Subnet,
    Value,
)
from netwright.model.security import SecurityGroup
from netwright.model.states import BindingState, Plane

NOWHERE = WhereServed(fabric=False)


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


class Before(Value, frozen=True, kw_only=True):
    """What was desired of ports before, with the same networks, subnets and all else but ports."""

    ports: Mapping[str, Port]
    desired: Desired

    def endpoint(self, port: Port, segment: Segment | None) -> Endpoint | None:
        """The port's, if it is the very same and lies on the same segment."""
        if self.ports.get(port.id) is not port:
            return None
        found = self.desired.endpoints.get(port.id)
        if found is None or (found.segment is not segment and found.segment != segment):
            return None
        return found


def desired(
    host: str,
    physical_networks: Iterable[str],
    ports: Mapping[str, Port],
    networks: Mapping[str, Network],
    known: KnownGroups = NO_GROUPS,
    *,
    attachments: Mapping[str, Attachment] | None = None,
    policies: Mapping[str, QosPolicy] | None = None,
    fabric: FabricUplink | None = None,
    fenced: Collection[str] = (),
    subnets: Mapping[str, Subnet] | None = None,
    where_served: WhereServed = NOWHERE,
    before: Before | None = None,
) -> Desired:
    """Sort the host's ports by what is to be done with them.

    Among them are those that were never bound and whose device is here: they have an inactive
    binding, and are wired ahead. `attachments` are this host's, by network id; `fabric` is its way
    to its leaves, if it has one. Ports that leaves drop there (`fenced`) are not wired until the
    server has heard that they are not, and the leaves let them through again (law 5).
    DHCP clients are answered on networks `where_served` has, as these `subnets` say.
    What was found `before` is not made again.
    """
    available = frozenset(physical_networks)
    place_of = places(
        host,
        ports.values(),
        networks,
        attachments or {},
        physical_networks=available,
        fabric=fabric,
    )
    serve = partial(served, subnets=subnets or {}, where=where_served, available=available)
    stray = partial(misplaced, host=host, subnets=subnets or {}, available=available)
    sorting = _Sorting(host, place_of, Filters(known), policies or {}, serve, stray=stray)
    for port in ports.values():
        is_fenced = port.id in fenced
        if before is not None and not is_fenced and sorting.put_again(port, before):
            continue
        if (binding := live_binding(port, host)) is None:
            continue
        if is_fenced:
            sorting.hold(port.id)
        else:
            sorting.put(port, binding, networks.get(port.network_id))
    return sorting.result()


class _Sorting:
    """A `Desired` in the making."""

    def __init__(
        self,
        host: str,
        place_of: Mapping[str, Place],
        filters: Filters,
        policies: Mapping[str, QosPolicy],
        serve: Callable[[Port, Network], Served | None],
        *,
        stray: Callable[[Port, Network, Place], str],
    ) -> None:
        self._host = host
        self._policies = policies
        self._place_of = place_of
        self._filters = filters
        self._serve = serve
        self._stray = stray
        self._endpoints: dict[str, Endpoint] = {}
        self._refusals: dict[str, str] = {}
        self._waiting: dict[str, str] = {}
        self._moving: dict[str, str] = {}
        self._arriving: dict[str, Endpoint] = {}
        self._unplaced: dict[str, str] = {}
        self._by_hand: set[str] = set()

    def result(self) -> Desired:
        return Desired(
            endpoints=self._endpoints,
            refusals=self._refusals,
            waiting=self._waiting,
            moving=self._moving,
            arriving=self._arriving,
            unplaced=self._unplaced,
            by_hand=frozenset(self._by_hand),
            groups=self._filters.needed,
            remote_groups=self._filters.remote,
        )

    def hold(self, port_id: str) -> None:
        """Not here yet: the leaves drop what this host says as the port, which it had left."""
        self._moving[port_id] = "this host's leaves drop it since it left while the host was silent"

    def put_again(self, port: Port, before: Before) -> bool:
        """Whether it is one of which the same is wanted as before; hosts have hundreds of them."""
        place = self._place_of.get(port.network_id)
        found = before.endpoint(port, place.segment) if place is not None else None
        if found is None:
            return False
        self._filters.of(port)  # which are needed still
        self._endpoints[port.id] = found
        return True

    def put(self, port: Port, binding: Binding, network: Network | None) -> None:
        """Sort a port by what is known of its network here."""
        if network is None:
            self._waiting[port.id] = f"network {port.network_id} has not come from the server yet"
        elif Plane.UNDERLAY not in planes_on(binding, port, network):
            self._by_hand.add(port.id)
        elif (segment := (place := self._place_of[network.id]).segment) is None:
            self._tell(port.id, place)
        elif refusal := self._stray(port, network, place):
            self._refusals[port.id] = refusal
        else:
            self._wire(port, binding, network, segment)

    def _tell(self, port_id: str, place: Place) -> None:
        """Why a port is not wired whose network has no segment here."""
        if place.refusal:
            self._refusals[port_id] = place.refusal
        elif place.unknown:
            self._waiting[port_id] = place.unknown
        else:
            self._unplaced[port_id] = place.none_yet

    def _wire(self, port: Port, binding: Binding, network: Network, segment: Segment) -> None:
        if binding.is_standby:
            self._filters.of(port)  # known by the time that it is activated
            self._endpoints[port.id] = silent(endpoint(port, network, segment))
        elif elsewhere := _still_wired_on(port, self._host):
            self._moving[port.id] = f"host {elsewhere} has not confirmed that it withdrew the port"
            if network.segment.network_type is NetworkType.VXLAN:
                self._arriving[port.id] = endpoint(port, network, segment)
        elif (of_port := self._filters.of(port)).missing:
            self._waiting[port.id] = of_port.missing
        else:
            self._wire_whole(port, network, segment, of_port.groups)

    def _wire_whole(
        self,
        port: Port,
        network: Network,
        segment: Segment,
        groups: tuple[SecurityGroup, ...] | None,
    ) -> None:
        try:
            qos = qos_of(port, network, self._policies)
        except QosNotKnown as unknown:
            self._waiting[port.id] = str(unknown)
        except QosNotPossible as refusal:
            self._refusals[port.id] = str(refusal)
        else:
            serving = self._serve(port, network)
            self._endpoints[port.id] = endpoint(
                port, network, segment, groups, qos, serving=serving
            )


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
    qos: Qos | None = None,
    *,
    serving: Served | None = None,
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
        qos=qos,
        inside=_inside(port),
        admin_state_up=port.admin_state_up and network.admin_state_up,
        mtu=network.mtu,
        served=serving,
    )


def _inside(port: Port) -> Inside | None:
    place = port.trunk
    if place is None or place.parent_id is None or place.segmentation_id is None:
        return None
    return Inside(parent_id=place.parent_id, vlan=place.segmentation_id)


def silent(endpoint: Endpoint) -> Endpoint:
    """The endpoint while another host answers for its port: plugged, and no packet passes.

    Nor is it announced. Its device may run already (the orchestrator activates when it does).
    """
    return replace(endpoint, admin_state_up=False)
