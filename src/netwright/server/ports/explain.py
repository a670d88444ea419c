"""Says in plain words what state a port is in, what it waits for, since when, and what to do."""

from collections.abc import Iterator, Mapping, Sequence

from netwright.model.conditions import FENCED, UPLINK_LOST, agents_words, but_the_fence
from netwright.model.planes import has_device, needed_planes
from netwright.model.resources import (
    Attachment,
    Binding,
    FenceState,
    Host,
    HostState,
    Network,
    NetworkType,
    Port,
    VifType,
)
from netwright.model.routing import FloatingIp
from netwright.model.segments import segment_on, segments_in_words
from netwright.model.states import MEANING, AttachmentState, BindingState, Plane, PortState
from netwright.model.wire import CONTAINER_OWNER
from netwright.server.containers.words import claim_lines, container_wait
from netwright.server.nova.explain import told, untold
from netwright.server.nova.notices import Telling
from netwright.server.ports.explanation import (
    Explanation,
    Wait,
    administrative,
    compose,
    length,
    misled,
)
from netwright.server.ports.lifecycle import names_of


def explain(
    port: Port,
    network: Network,
    hosts: Mapping[str, Host],
    attachments: Mapping[str, Attachment],
    now: float,
    *,
    tellings: Sequence[Telling] = (),
    floating: Sequence[FloatingIp] = (),
) -> Explanation:
    """Explain a port from its network, and the hosts and attachments (by host) of its bindings.

    And from what Nova was told of it, or is to be told, and its floating IPs.
    """
    waits = (*_waits(port, network, hosts, attachments), *misled(floating))
    return compose(
        port,
        standing=_standing(port, network, hosts, now),
        cause=port.cause,
        is_cause_told=_is_told(port, hosts, waits),
        waits=waits,
        told=tuple(told(tellings, now)),
        untold=tuple(untold(tellings)),
        claim=claim_lines(port, network, now, names_host=True),
        now=now,
    )


_RESTS_ON_REPORTS = {PortState.WIRING, PortState.MOVING, PortState.ACTIVE, PortState.DEGRADED}
_NOT_REPORTED = {BindingState.REFUSED, BindingState.FENCED}  # known here, whatever its host says


def _standing(port: Port, network: Network, hosts: Mapping[str, Host], now: float) -> str:
    """The port's state; while its host is silent, as what was last reported and no more."""
    name, binding, meaning = port.name or port.id, port.active_binding, MEANING[port.state]
    for_ = f"for {length(now - port.state_since)}"
    if is_address_alone(port):
        return address_alone(port)
    host = None if binding is None else hosts.get(binding.host)
    if binding is not None and port.state is PortState.ERROR and _is_servers_refusal(binding):
        meaning = f"the server refused to bind it to {binding.host}; it is tried again by itself"
    elif host is not None and host.state is HostState.UNKNOWN and rests_on_reports(port, network):
        return (
            f"As last reported, port {name} is {port.state} ({meaning}) {for_};"
            f" host {host.name} was last heard {length(now - host.heard_at)} ago,"
            " and how it stands now is not known."
        )
    return f"Port {name} is {port.state} ({meaning}) {for_}."


def is_address_alone(port: Port) -> bool:
    """Whether the port is as it shall be without a host: a router's interface and its like."""
    return port.state is PortState.ALLOCATED and not has_device(port.device_owner)


def address_alone(port: Port) -> str:
    return (
        f"Port {port.name or port.id} stands for an address ({port.device_owner}): it has no "
        "device and needs no host. Whether its address answers is its network's gateways' matter."
    )


def rests_on_reports(port: Port, network: Network) -> bool:
    """Whether the port's state rests on what its host reported."""
    binding = port.active_binding
    planes = needed_planes(network.segment.network_type, port.vnic_type, port.device_owner)
    return (
        binding is not None
        and Plane.UNDERLAY in planes
        and port.state in _RESTS_ON_REPORTS
        and binding.state not in _NOT_REPORTED
    )


def _is_servers_refusal(binding: Binding) -> bool:
    """Whether the server refused the binding by itself: no agent was asked."""
    refused = binding.state is BindingState.REFUSED
    return refused and binding.vif_type is VifType.BINDING_FAILED


def _is_told(port: Port, hosts: Mapping[str, Host], waits: tuple[Wait, ...]) -> bool:
    """Whether what the port waits for says its cause already."""
    binding = port.active_binding
    if binding is not None and port.state is not PortState.RELEASING:
        host = hosts.get(binding.host)
        fenced = host is not None and host.state is HostState.FENCED
        if _is_servers_refusal(binding) or (fenced and binding.state is BindingState.FENCED):
            return True
    return any(port.cause in wait.what for wait in waits)


def _waits(
    port: Port,
    network: Network,
    hosts: Mapping[str, Host],
    attachments: Mapping[str, Attachment],
) -> Iterator[Wait]:
    yield from administrative(port, network)
    binding = port.active_binding
    kept = container_wait(port)
    if kept is not None:
        yield kept
    elif port.state is PortState.ALLOCATED and has_device(port.device_owner):
        yield Wait(
            what=f"It has no host{_ahead(port)}",
            since=port.state_since,
            next="set binding:host_id, which an orchestrator does when it starts the instance",
        )
    elif binding is not None and port.state is not PortState.RELEASING:
        host = hosts.get(binding.host)
        planes = needed_planes(network.segment.network_type, port.vnic_type, port.device_owner)
        if Plane.UNDERLAY in planes or binding.state in _NOT_REPORTED:
            yield from _service(binding, host, network)
        if Plane.UNDERLAY in planes:
            yield from _underlay(port, binding, host)
        if Plane.OVERLAY in planes:
            yield from _overlay(binding, attachments.get(binding.host), network)
        yield from _fence(port, host)
    for each in port.bindings:
        yield from _standby(each)
        yield from _withdrawal(port, each, hosts.get(each.host), network)
        yield from _remnant(each, hosts.get(each.host))


def _ahead(port: Port) -> str:
    inactive = [b for b in port.bindings if b.state is not BindingState.WITHDRAWING]
    found = [b.host for b in inactive if b.prepared is None]
    prepared = ", ".join(b.host for b in inactive if b.prepared is not None)
    ahead = f"; its device was seen on {found[0]} and is wired there ahead" if found else ""
    return f"{ahead}; prepared, not activated, on {prepared}" if prepared else ahead


def _service(binding: Binding, host: Host | None, network: Network) -> Iterator[Wait]:
    """What of the host stands in the way of a port that its agent wires, or was refused there.

    A bare-metal port on a VLAN needs nothing of its host: none may ever register there.
    """
    impediments = tuple(_impediments(binding, host, network))
    yield from impediments
    if _is_servers_refusal(binding) and not impediments:
        yield Wait(
            what=f"The server's cause: {binding.cause or 'none was kept'}",
            since=binding.since,
            next=_when_tried_again(network),
        )
    if host is not None:
        yield from _conditions(host)


def _when_tried_again(network: Network) -> str:
    if network.segment.network_type is NetworkType.VXLAN:
        return "remove the cause; it is tried again by itself"
    return "remove the cause; it is tried again when the host's agent next registers"


def _impediments(binding: Binding, host: Host | None, network: Network) -> Iterator[Wait]:
    """Why the host cannot serve the port as far as the server can tell."""
    if host is None:
        yield Wait(
            what=f"Host {binding.host} has never registered",
            since=None,
            next=f"start netwright agent --host {binding.host} there, or correct binding:host_id",
        )
        return
    if host.state is HostState.UNKNOWN:
        wired = "; what it wired may still work" if binding.state is BindingState.UP else ""
        yield Wait(
            what=f"The agent of host {host.name} is silent{wired}",
            since=host.heard_at,
            next=f"look at netwright agent on {host.name} and its way to this server;"
            f" if the host is dead: netwright host fence {host.name}",
        )
    if host.state is HostState.FENCED:
        reason = host.conditions.get(FENCED)
        yield Wait(
            what=f"Host {host.name} is fenced{f': {reason}' if reason else ''}",
            since=host.state_since,
            next=f"when it is sound again: netwright host unfence {host.name}",
        )
    on_wire = network.segment.network_type in (NetworkType.FLAT, NetworkType.VLAN)
    if on_wire and segment_on(network, host.physical_networks) is None:
        wanted = segments_in_words(network)
        served = ", ".join(sorted(host.physical_networks)) or "none"
        yield Wait(
            what=f"Host {host.name} has no bridge to physical network {wanted}; it has: {served}",
            since=None,
            next="start its agent with --physical-network "
            f"{network.segment.physical_network}=BRIDGE, or bind the port to another host",
        )


def _conditions(host: Host) -> Iterator[Wait]:
    agents = agents_words(host.conditions)
    for condition, cause in sorted(but_the_fence(host.conditions).items()):
        says = f"Host {host.name} says" if condition in agents else f"Of host {host.name}"
        yield Wait(
            what=f"{says}: {condition} ({cause})"
            + ("" if condition == UPLINK_LOST else "; this alone stops no port"),
            since=host.conditions_since.get(condition),
            next="",
        )


def _underlay(port: Port, binding: Binding, host: Host | None) -> Iterator[Wait]:
    if binding.state in (BindingState.UP, BindingState.FENCED) or _is_servers_refusal(binding):
        return
    if binding.state is BindingState.REFUSED:
        yield Wait(
            what=f"It could not be wired on {binding.host}: "
            f"{binding.cause or 'no cause was given'}",
            since=binding.since,
            next="remove the cause; it is tried again by itself",
        )
    elif binding.state is BindingState.DOWN:
        yield Wait(
            what=f"Its wiring on {binding.host} is down: {binding.cause or 'no cause was given'}",
            since=binding.since,
            next=f"look at the device and the links of {binding.host}",
        )
    elif binding.device_seen_at is None:
        yield Wait(
            what=f"Its device was not yet seen on {binding.host}",
            since=binding.since,
            next="plug an interface with external_ids:iface-id="
            f"{port.id} into br-int of {binding.host}, as an orchestrator does",
        )
    elif host is not None and host.state is HostState.UP:
        yield Wait(
            what=f"The agent of {binding.host} saw its device and has not reported it wired",
            since=binding.device_seen_at,
            next=f"look at the log of netwright agent on {binding.host}",
        )


def _overlay(binding: Binding, attachment: Attachment | None, network: Network) -> Iterator[Wait]:
    if _is_servers_refusal(binding):
        return
    if attachment is None:
        yield Wait(
            what=f"Its network is not yet attached to {binding.host}",
            since=binding.since,
            next="",
        )
    elif attachment.state is not AttachmentState.UP:
        cause = f": {attachment.cause}" if attachment.cause else ""
        vlan = "" if attachment.vlan is None else f" (VLAN {attachment.vlan} below its leaves)"
        yield Wait(
            what=f"The fabric's path to {attachment.host}{vlan} is {attachment.state}{cause}",
            since=attachment.since,
            next=f"netwright fabric status says how the switches stand; network {network.id} has"
            f" VNI {network.segment.segmentation_id}"
            + (f", VLAN {attachment.vlan} there" if attachment.vlan is not None else ""),
        )


def _standby(binding: Binding) -> Iterator[Wait]:
    if binding.is_standby and binding.state is BindingState.REFUSED:
        yield Wait(
            what=f"It is prepared on {binding.host}, which could not serve it if it were activated"
            f" there: {binding.cause or 'no cause was given'}",
            since=binding.since,
            next="remove the cause; it is tried again by itself",
        )


def _fence(port: Port, host: Host | None) -> Iterator[Wait]:
    """It is bound again to a host that it had left while that was silent."""
    fence = host.fence_of(port.id) if host is not None else None
    if host is None or fence is None:
        return
    if fence.is_wanted:
        what = f"The leaves of host {host.name} drop it, which it had left while that was silent"
        todo = f"its agent lets it be lifted as soon as it is heard: look at it on {host.name}"
    else:
        what = f"The leaves of host {host.name} are to drop it no more, and not all have confirmed"
        todo = "netwright fabric status says how the switches stand"
    yield Wait(what=what, since=fence.since, next=todo)


def _withdrawal(
    port: Port, binding: Binding, host: Host | None, network: Network
) -> Iterator[Wait]:
    if binding.state is not BindingState.WITHDRAWING:
        return
    fence = host.fence_of(port.id) if host is not None else None
    if fence is not None and fence.state is FenceState.ASKED:
        yield Wait(
            what=f"Host {binding.host} is silent, and its leaves do not yet drop what it says as"
            f" this port: {fence.cause or 'the fabric controller was asked, and has not answered'}",
            since=fence.asked_at,
            next="bring that switch back (netwright fabric status), or if the host is dead:"
            f" netwright host fence {binding.host}",
        )
        return
    yield Wait(
        what=f"Host {binding.host} has not confirmed that its old wiring is gone",
        since=binding.since,
        next=_to_prove_it(binding, host) + _why_not_fenced(port, binding, host, network),
    )


def _why_not_fenced(port: Port, binding: Binding, host: Host | None, network: Network) -> str:
    """Why the fabric does not prove it in a silent host's place; "" where that is not asked."""
    is_silent = host is not None and host.state is HostState.UNKNOWN
    active = port.active_binding
    moved = active is not None and active.host != binding.host
    if not is_silent or not moved or port.device_owner != CONTAINER_OWNER:
        return ""
    if network.segment.network_type is not NetworkType.VXLAN:
        return "; no fabric carries its network whose leaves could drop it there"
    return "; its leaves are asked to drop it there when it is this host's turn"


def _remnant(binding: Binding, host: Host | None) -> Iterator[Wait]:
    if binding.remnant is None or binding.state is BindingState.WITHDRAWING:
        return
    yield Wait(
        what=f"Host {binding.host} has not confirmed that it no longer answers for "
        f"{names_of(binding.remnant)}, which the port has no more and holds until then",
        since=binding.remnant.since,
        next=_to_prove_it(binding, host),
    )


def _to_prove_it(binding: Binding, host: Host | None) -> str:
    if host is None or host.state is not HostState.UP:
        return f"its agent is not heard: start it, or netwright host fence {binding.host}"
    return f"look at the log of netwright agent on {binding.host}"
