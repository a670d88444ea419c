"""How events change a port's bindings, and what state the port is in then.

Pure. `model.states` holds the tables; `port_state` derives a port's state from its active binding
and that host's attachment. `happen` is the only way in which a port's state changes.
"""

from collections.abc import Collection, Mapping

from msgspec.structs import replace

from netwright.model.planes import planes_on
from netwright.model.resources import (
    Attachment,
    Binding,
    Network,
    Port,
    Remnant,
    Transition,
    VifType,
)
from netwright.model.routing import ROUTER_INTERFACE
from netwright.model.states import (
    BINDING,
    PORT,
    AttachmentState,
    BindingState,
    Event,
    Plane,
    PortState,
)
from netwright.server.ports.giving_back import give_back
from netwright.server.world import World

UNDERLAY_DEADLINE_S = 60.0
"""How long a device may be on its host before its underlay must be up."""

ADMIN_DOWN_CAUSE = "admin_state_up is false"


class TransitionRefused(Exception):
    """The table has no such transition: a defect, or a report that came too late. Logged."""


class PlaneView(str):
    """A plane's standing for a port: `up`, `pending`, `down` or `refused`."""

    __slots__ = ()


UP, PENDING, DOWN, REFUSED = (PlaneView(v) for v in ("up", "pending", "down", "refused"))

_UNDERLAY_VIEW = {
    BindingState.PREPARING: PENDING,
    BindingState.UP: UP,
    BindingState.DOWN: DOWN,
    BindingState.REFUSED: REFUSED,
    BindingState.FENCED: DOWN,
}
_OVERLAY_VIEW = {
    AttachmentState.WANTED: PENDING,
    AttachmentState.UP: UP,
    AttachmentState.DRIFTED: DOWN,
    AttachmentState.REFUSED: REFUSED,
    AttachmentState.WITHDRAWING: PENDING,
}


_WERE_ACTIVE = frozenset({PortState.ACTIVE, PortState.DEGRADED})


def port_state(
    port: Port, network: Network, attachment: Attachment | None
) -> tuple[PortState, str]:
    """The port's state and its cause, from what its bindings and its attachment are now."""
    if port.state is PortState.RELEASING:
        return PortState.RELEASING, port.cause
    active = port.active_binding
    if active is None:
        return _unbound(port)
    planes = planes_on(active, port, network)
    views: dict[PlaneView, str] = {}
    if Plane.UNDERLAY in planes or active.state in {BindingState.REFUSED, BindingState.FENCED}:
        views[_UNDERLAY_VIEW[active.state]] = active.cause
    if Plane.OVERLAY in planes:
        overlay = PENDING if attachment is None else _OVERLAY_VIEW[attachment.state]
        views.setdefault(overlay, attachment.cause if attachment else "")
    return _of_planes(port, views, was_active=_was_active(port, active, attachment, planes))


def _unbound(port: Port) -> tuple[PortState, str]:
    """A router's interface needs no host: it is an address that the fabric or hardware answers."""
    if port.device_owner != ROUTER_INTERFACE or not port.device_id:
        return PortState.ALLOCATED, ""
    if not port.admin_state_up:
        return PortState.DEGRADED, ADMIN_DOWN_CAUSE
    return PortState.ACTIVE, ""


def _was_active(
    port: Port, active: Binding, attachment: Attachment | None, planes: Collection[Plane]
) -> bool:
    """Whether every needed plane was once up at once, as far as it is known."""
    if Plane.OVERLAY not in planes:
        return active.was_up
    waits = attachment is None or _OVERLAY_VIEW[attachment.state] is PENDING
    return active.was_up and (not waits or port.state in _WERE_ACTIVE)


def _of_planes(
    port: Port, views: Mapping[PlaneView, str], *, was_active: bool
) -> tuple[PortState, str]:
    """The state of a bound port, from the standing of the planes that it needs and their causes."""
    if REFUSED in views:
        return PortState.ERROR, views[REFUSED]
    if not port.admin_state_up:
        return PortState.DEGRADED, ADMIN_DOWN_CAUSE
    if not views.keys() - {UP}:
        return PortState.ACTIVE, ""
    if DOWN in views or was_active:
        return PortState.DEGRADED, views.get(DOWN, views.get(PENDING, ""))
    older = any(binding.state is BindingState.WITHDRAWING for binding in port.bindings)
    return (PortState.MOVING if older else PortState.WIRING), views.get(PENDING, "")


def step(binding: Binding, event: Event, *, now: float, cause: str = "") -> Binding:
    """The binding after the event. Raises `TransitionRefused` when the table has no such row."""
    state = BINDING.get((binding.state, event))
    if state is None:
        raise TransitionRefused(
            f"binding on {binding.host} (generation {binding.generation}) is "
            f"{binding.state}: {event} cannot happen to it"
        )
    return replace(
        binding,
        state=state,
        since=binding.since if state is binding.state else now,
        cause="" if state is BindingState.UP else cause,
        device_seen_at=_device_seen(binding, event, state, now),
        was_up=binding.was_up or state is BindingState.UP,
        stale_wiring=binding.stale_wiring and state is not BindingState.FENCED,
        remnant=None if _proves_clean(binding, event, state) else binding.remnant,
    )


def _proves_clean(binding: Binding, event: Event, state: BindingState) -> bool:
    """Whether nothing of earlier generations stands on the host any more.

    Its agent has wired this generation, or says of it that there is no device. What the agent does
    not wire (bare metal) it cannot speak for.
    """
    if state in {BindingState.FENCED, BindingState.WITHDRAWN}:
        return True
    has_spoken = event in {Event.PLANE_UP, Event.UNPLUGGED}
    return has_spoken and binding.vif_type is VifType.OVS and state is not BindingState.WITHDRAWING


def _device_seen(binding: Binding, event: Event, state: BindingState, now: float) -> float | None:
    if event is Event.DEVICE_SEEN or state is BindingState.UP:
        return binding.device_seen_at or now
    if event in {Event.UNPLUGGED, Event.BIND, Event.WITHDRAWN}:
        return None
    return binding.device_seen_at


def due_at(binding: Binding) -> float | None:
    """When the underlay's deadline passes: counted from the device, not from the bind.

    A standby has none: a live migration may take hours.
    """
    if binding.is_standby:
        return None
    if binding.state is BindingState.PREPARING and binding.device_seen_at is not None:
        return binding.device_seen_at + UNDERLAY_DEADLINE_S
    return None


def with_binding(port: Port, binding: Binding) -> Port:
    """The port with this binding in place of the host's earlier one; withdrawn ones go."""
    others = tuple(b for b in port.bindings if b.host != binding.host)
    if binding.state is BindingState.WITHDRAWN:
        return replace(port, bindings=others)
    return replace(port, bindings=(*others, binding))


def happen(
    world: World,
    port: Port,
    event: Event,
    *,
    actor: str,
    binding: Binding | None = None,
    cause: str = "",
    plane: Plane | None = None,
) -> Port:
    """Put the port as it is after the event, with its history; returns it.

    `port` already holds what the event changed (its bindings, its admin state); its stored state is
    the one before. `binding` and `plane` are those that the event is about. Addresses that no host
    can answer for after it are given back. Raises `TransitionRefused`.
    """
    network = world.networks.get(port.network_id)
    if network is None:
        raise TransitionRefused(f"port {port.id} is in network {port.network_id}, which is gone")
    active = port.active_binding
    attachment = world.attachments.get((port.network_id, active.host)) if active else None
    state, why = port_state(port, network, attachment)
    if event is Event.DELETE:
        state, why = PortState.RELEASING, ""
    if state is not port.state and state not in PORT.get((port.state, event), frozenset()):
        raise TransitionRefused(f"port {port.id} is {port.state}: {event} cannot make it {state}")
    after = replace(
        port,
        state=state,
        state_since=port.state_since if state is port.state else world.now,
        cause=why,
        revision_number=port.revision_number + 1,
        updated_at=world.now,
        history_length=port.history_length + 1,
    )
    give_back(world, world.ports.get(port.id), after)
    world.ports.put(port.id, after)
    world.transitions.append(
        Transition(
            port_id=port.id,
            number=after.history_length,
            at=world.now,
            event=event,
            actor=actor,
            host=binding.host if binding else None,
            generation=binding.generation if binding else None,
            from_state=port.state,
            to_state=state,
            binding_state=binding.state if binding else None,
            plane=plane,
            cause=cause or (binding.cause if binding else "") or why,
        )
    )
    return after


def was_told(binding: Binding) -> bool:
    """Whether the host's agent may have wired it, so that its withdrawal must be confirmed."""
    return binding.vif_type is VifType.OVS or binding.stale_wiring


def names_of(remnant: Remnant) -> str:
    """The addresses and MACs in words."""
    return ", ".join([*(ip.ip_address for ip in remnant.addresses), *remnant.macs])


def may_answer(binding: Binding) -> bool:
    """Whether the host may answer for the port: a fence proves that it does not.

    A standby was silent from its beginning, or its host has withdrawn what it was before.
    """
    is_silent = binding.is_standby or binding.state is BindingState.FENCED
    return was_told(binding) and not is_silent
