"""Binding a port to a host, moving it, unbinding it, and what hosts and fences do to bindings.

A port may be wired ahead of its binding, on the host where its device was seen first (`offer`):
that is an inactive binding, so that a binding elsewhere, or the port's deletion, waits until that
host no longer answers for it (law 5). Bindings that are asked for ahead are `preparing`'s.
"""

from msgspec.structs import replace

from netwright.model.errors import NetwrightError
from netwright.model.planes import needed_planes, planes_on
from netwright.model.resources import (
    Binding,
    FixedIp,
    Network,
    Port,
    Prepared,
    Remnant,
    VifType,
    VnicType,
)
from netwright.model.states import BindingState, Event, Plane, PortState
from netwright.server.overlay.attachments import attach, detach, is_fabric, join
from netwright.server.overlay.links import access_of
from netwright.server.ports.deferred import with_deferred
from netwright.server.ports.lifecycle import happen, may_answer, step, was_told, with_binding
from netwright.server.ports.refusals import needs_overlay, network_of, own_kind, refusal_of
from netwright.server.world import World

OVS_VIF_DETAILS = {
    "bridge_name": "br-int",
    "connectivity": "l2",
    "datapath_type": "netdev",
    "ovs_hybrid_plug": False,
    "port_filter": True,
    "bound_drivers": {"0": "netwright"},
}


def bind(world: World, port: Port, host: str, *, actor: str, cause: str = "") -> Port:
    """Make `host` the port's active binding; "" unbinds. Those on other hosts are withdrawn.

    A host that cannot serve the port gets the binding all the same, refused with the cause: the
    caller sees `binding_failed`, and it is tried again when the cause goes. `cause` is why it is
    asked for, for the port's history.
    """
    active = port.active_binding
    if host == (active.host if active else ""):
        return port
    if not host:
        return unbind(world, port, Event.UNBIND, actor=actor)
    for binding in port.bindings:
        stays = binding.state is BindingState.WITHDRAWING and binding.prepared is None
        if binding.host != host and not stays:
            port = withdraw(world, port, binding, Event.REBIND)
    port, unaddressed = _with_addresses(world, port, host)
    port = place(world, port, host, unaddressed)
    event, placed = Event.BIND if active is None else Event.REBIND, port.binding_on(host)
    why = (placed.cause if placed else "") or cause
    return happen(world, port, event, actor=actor, binding=placed, cause=why)


def rewire(world: World, before: Port, port: Port, *, actor: str) -> Port:
    """The port where it is bound, when its profile names other leaf interfaces for its machine."""
    active = port.active_binding
    is_metal = VnicType.BAREMETAL in {before.vnic_type, port.vnic_type}
    if active is None or not is_metal or not is_fabric(network_of(world, port)):
        return port
    if access_of(before.profile) == access_of(port.profile):
        return port
    port = place(world, port, active.host)
    return happen(world, port, Event.BIND, actor=actor, binding=port.binding_on(active.host))


def offer(world: World, port: Port, host: str, *, actor: str) -> Port:
    """Have a port that was never bound wired ahead where its device is, if the host can.

    Underlay only, and nothing of the port's state changes. One host alone is offered a port: two
    would both answer for it.
    """
    network = network_of(world, port)
    planes = needed_planes(network.segment.network_type, port.vnic_type, port.device_owner)
    is_fresh = not port.bindings and not port.ever_bound
    if not is_fresh or Plane.UNDERLAY not in planes:
        return port
    kind = own_kind(port)
    if refusal_of(world, port, kind, host):
        return port
    ahead = Binding(
        host=host,
        generation=port.generation + 1,
        active=False,
        state=BindingState.PREPARING,
        since=world.now,
        device_seen_at=world.now,
        vif_type=VifType.OVS,
        vif_details=OVS_VIF_DETAILS,
    )
    attach(world, network, host)
    _join(world, network, port, host, kind)
    port = replace(with_binding(port, ahead), generation=ahead.generation, was_offered=True)
    return happen(world, port, Event.DEVICE_SEEN, actor=actor, binding=ahead)


def readdress(
    world: World, port: Port, addresses: tuple[FixedIp, ...], macs: tuple[str, ...]
) -> Port:
    """The port when addresses or MACs have gone from it that hosts may have wired.

    They become remnants of its bindings. What is bound gets a new generation: when its host reports
    that, it has wired the port as it is now. What withdraws keeps its own, and is to go anyway.
    """
    if not (addresses or macs):
        return port
    generation = port.generation + 1
    bindings = tuple(
        _readdressed(binding, generation, addresses, macs, world.now) for binding in port.bindings
    )
    if bindings == port.bindings:
        return port
    return replace(port, bindings=bindings, generation=generation)


def take_back(port: Port, fixed_ips: tuple[FixedIp, ...], mac: str) -> Port:
    """The port, to whom these belong (again): they are no remnants."""
    return replace(
        port,
        bindings=tuple(
            replace(binding, remnant=_without(binding.remnant, fixed_ips, mac))
            for binding in port.bindings
        ),
    )


def unbind(world: World, port: Port, event: Event, *, actor: str, cause: str = "") -> Port:
    """Withdraw every binding, because the host was taken away (UNBIND) or the port (DELETE)."""
    about = port.active_binding
    for binding in port.bindings:
        port = withdraw(world, port, binding, event)
    return happen(world, port, event, actor=actor, binding=about, cause=cause)


def withdrawn(
    world: World, port: Port, binding: Binding, event: Event, *, actor: str, cause: str = ""
) -> Port:
    """The binding is proven gone: by its agent's word or by a fence.

    One that was the active one, or is asked for anew, stays as a standby.
    """
    gone = step(binding, event, now=world.now)
    if gone.state is BindingState.WITHDRAWN and binding.prepared is not None:
        port = stand_by(world, port, binding.host, binding.prepared)
        standby = port.binding_on(binding.host)
        return happen(world, port, event, actor=actor, binding=standby, cause=cause)
    port = with_binding(port, gone)
    port = happen(world, port, event, actor=actor, binding=gone, cause=cause)
    if gone.state is BindingState.WITHDRAWN:
        detach(world, world.networks.get(port.network_id), port, binding.host)
    return port


def retry(world: World, port: Port, binding: Binding, *, actor: str) -> Port:
    """What was refused or fenced is prepared anew, if the host can serve it by now.

    A binding that the server refused, and refuses for another cause, says so. One port's trouble
    with its addresses is its own: it keeps no host from registering, and no other port waiting.
    """
    network = network_of(world, port)
    kind, unaddressed = binding.prepared or own_kind(port), ""
    if binding.active:
        port, unaddressed = _with_addresses(world, port, binding.host)
    cause = refusal_of(world, port, kind, binding.host, unaddressed)
    if cause:
        return _refused_again(world, port, binding, cause)
    _join(world, network, port, binding.host, kind)
    generation = port.generation + 1
    vif_type = _vif_type(planes_on(binding, port, network), "")
    again = replace(
        step(binding, Event.HOST_BACK, now=world.now),
        generation=generation,
        device_seen_at=None,
        vif_type=vif_type,
        vif_details=OVS_VIF_DETAILS if vif_type is VifType.OVS else {},
    )
    if vif_type is not VifType.OVS:  # nobody wires it, so there is nothing to wait for
        again = step(again, Event.PLANE_UP, now=world.now)
    port = replace(with_binding(port, again), generation=generation)
    return happen(world, port, Event.HOST_BACK, actor=actor, binding=again)


def retry_refused(world: World, port_id: str) -> None:
    """Try anew the bindings that the server refused; one that it refuses for another cause says so.

    Those that an agent refused are its to try again.
    """
    port = world.ports.get(port_id)
    for binding in port.bindings if port is not None else ():
        if port is not None and _is_servers_refusal(binding):
            port = retry(world, port, binding, actor="server")


def _refused_again(world: World, port: Port, binding: Binding, cause: str) -> Port:
    if cause == binding.cause or not _is_servers_refusal(binding):
        return port
    after = step(binding, Event.PLANE_REFUSED, now=world.now, cause=cause)
    port = with_binding(port, after)
    return happen(world, port, Event.PLANE_REFUSED, actor="server", binding=after)


def _is_servers_refusal(binding: Binding) -> bool:
    return binding.state is BindingState.REFUSED and binding.vif_type is VifType.BINDING_FAILED


def _with_addresses(world: World, port: Port, host: str) -> tuple[Port, str]:
    """The port with addresses that it waits for, if it can have any there; if not, why."""
    try:
        with world.trial():
            after = with_deferred(world, port, host)
    except NetwrightError as error:  # its binding is refused for want of them
        return port, f"{error.message.rstrip('.')}; {error.next}"
    if after is not port:
        after = replace(after, revision_number=port.revision_number + 1, updated_at=world.now)
        world.ports.put(after.id, after)
    return after, ""


def place(world: World, port: Port, host: str, unaddressed: str = "") -> Port:
    """The port with the host's as its active binding, for its own vNIC type.

    `unaddressed`: why it could not have there the addresses that it waits for.
    """
    earlier, kind = port.binding_on(host), own_kind(port)
    binding = replace(
        _planned(world, port, host, kind, unaddressed),
        active=True,
        stale_wiring=earlier is not None and may_answer(earlier),
        remnant=earlier.remnant if earlier is not None else None,
    )
    return replace(_with_planned(world, port, binding, kind), ever_bound=True)


def stand_by(world: World, port: Port, host: str, prepared: Prepared) -> Port:
    """The port with a standby on the host, where nothing answers for it."""
    planned = _planned(world, port, host, prepared)
    return _with_planned(world, port, replace(planned, prepared=prepared), prepared)


def _planned(world: World, port: Port, host: str, kind: Prepared, unaddressed: str = "") -> Binding:
    """A new inactive binding; refused, with the cause, when the host cannot serve the port."""
    network = network_of(world, port)
    refusal = refusal_of(world, port, kind, host, unaddressed)
    planes = needed_planes(network.segment.network_type, kind.vnic_type, port.device_owner)
    if refusal:
        state = BindingState.REFUSED
    elif Plane.UNDERLAY in planes:
        state = BindingState.PREPARING
    else:
        state = BindingState.UP
    vif_type = _vif_type(planes, refusal)
    return Binding(
        host=host,
        generation=port.generation + 1,
        active=False,
        state=state,
        since=world.now,
        cause=refusal,
        was_up=state is BindingState.UP and Plane.OVERLAY not in planes,
        vif_type=vif_type,
        vif_details=OVS_VIF_DETAILS if vif_type is VifType.OVS else {},
    )


def _with_planned(world: World, port: Port, binding: Binding, kind: Prepared) -> Port:
    network = network_of(world, port)
    if port.binding_on(binding.host) is None:
        attach(world, network, binding.host)
    if binding.state is not BindingState.REFUSED:
        _join(world, network, port, binding.host, kind)
    return replace(with_binding(port, binding), generation=binding.generation)


def withdraw_ahead(world: World, port: Port, binding: Binding, *, actor: str) -> Port:
    """The device of a port that was wired ahead has gone: so does its binding there.

    It is only withdrawn: the agent wires the device, should it come back, until it hears of it.
    """
    port = withdraw(world, port, binding, Event.UNBIND)
    return happen(world, port, Event.UNPLUGGED, actor=actor, binding=port.binding_on(binding.host))


def _readdressed(
    binding: Binding,
    generation: int,
    addresses: tuple[FixedIp, ...],
    macs: tuple[str, ...],
    now: float,
) -> Binding:
    if not may_answer(binding):
        return binding
    earlier = binding.remnant or Remnant(since=now)
    remnant = replace(
        earlier,
        addresses=(*earlier.addresses, *(ip for ip in addresses if ip not in earlier.addresses)),
        macs=(*earlier.macs, *(mac for mac in macs if mac not in earlier.macs)),
    )
    is_going = binding.state is BindingState.WITHDRAWING
    return replace(
        step(binding, Event.READDRESS, now=now, cause=binding.cause),
        generation=binding.generation if is_going else generation,
        remnant=remnant,
    )


def _without(remnant: Remnant | None, fixed_ips: tuple[FixedIp, ...], mac: str) -> Remnant | None:
    if remnant is None:
        return None
    rest = replace(
        remnant,
        addresses=tuple(ip for ip in remnant.addresses if ip not in fixed_ips),
        macs=tuple(each for each in remnant.macs if each != mac),
    )
    return rest if rest.addresses or rest.macs else None


def withdraw(world: World, port: Port, binding: Binding, event: Event) -> Port:
    """The binding on its way out; at once when nothing of it can answer for the port.

    Were a standby waited for, the active binding would be kept silent until its host has spoken.
    """
    after = step(replace(binding, active=False, prepared=None), event, now=world.now)
    is_silent = binding.is_standby or not was_told(binding)
    if after.state is BindingState.WITHDRAWING and is_silent:
        after = step(after, Event.WITHDRAWN, now=world.now)
    if after.state is BindingState.WITHDRAWN:
        detach(world, world.networks.get(port.network_id), port, binding.host)
    return with_binding(port, after)


def _join(world: World, network: Network, port: Port, host: str, kind: Prepared) -> None:
    if needs_overlay(network, port, kind):
        join(world, network, port, host, kind)


def _vif_type(planes: frozenset[Plane], refusal: str) -> VifType:
    if refusal:
        return VifType.BINDING_FAILED
    return VifType.OVS if Plane.UNDERLAY in planes else VifType.OTHER


def is_released(port: Port) -> bool:
    """Whether a deleted port's last binding is gone, so that its addresses may go to rest."""
    return port.state is PortState.RELEASING and not port.bindings
