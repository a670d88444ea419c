"""Bindings that are asked for ahead, and activated: live migration (`binding-extended`).

    ask ──▶ standby ──activate──▶ active (waits until the host before has withdrawn it: law 5)
              ▲                     │ another is activated
              └──proven withdrawn── withdrawing, still asked for

A standby's host knows the port, has its network and keeps its device silent; so there is nothing to
withdraw when it is deleted, and the active binding never waits for it. What was the active one
stays, inactive, until the orchestrator deletes it, as Neutron has it.
"""

from collections.abc import Mapping
from typing import Any

from msgspec import UNSET
from msgspec.structs import replace

from netwright.model.errors import (
    BadRequest,
    PortBindingAlreadyActive,
    PortBindingAlreadyExists,
    PortBindingError,
    PortBindingNotFound,
)
from netwright.model.planes import planes_on
from netwright.model.resources import Binding, HostState, Port, Prepared, VifType
from netwright.model.states import BindingState, Event, Plane
from netwright.server.commands import (
    ActivateBinding,
    ChangeBinding,
    DeleteBinding,
    PortChange,
    PrepareBinding,
    UpdatePorts,
)
from netwright.server.ports import decisions
from netwright.server.ports.bindings import place, stand_by, withdraw
from netwright.server.ports.lifecycle import happen, may_answer, step, was_told, with_binding
from netwright.server.ports.refusals import network_of, own_kind, refusal_of
from netwright.server.world import World

_COMPUTE = "compute:"


def prepare(world: World, command: PrepareBinding) -> tuple[Port, ...]:
    """Ask for an inactive binding. Raises PortBindingAlreadyExists, PortBindingError.

    Also while the host that the port would leave is silent: an instance that moved on would be cut
    off until somebody hears of that host, or fences it.
    """
    port = _of_compute(world, command)
    existing = port.binding_on(command.host)
    if existing is not None and is_asked_for(existing):
        raise PortBindingAlreadyExists(
            f"Binding for port {port.id} on host {command.host} already exists.",
            next="use it, or delete it first",
        )
    prepared = Prepared(vnic_type=command.vnic_type, profile=command.profile)
    _require_served(world, port, command.host, prepared)
    _require_heard(world, port, command.host)
    if existing is None:
        port = stand_by(world, port, command.host, prepared)
    elif existing.state is BindingState.WITHDRAWING:
        port = _asked_for_anew(world, port, existing, prepared)
    else:  # wired ahead, where its device was seen: silent from now on, like any other
        port = _set_aside(world, port, existing, prepared)
    return (_happened(world, port, Event.PREPARE, command),)


def change(world: World, command: ChangeBinding) -> tuple[Port, ...]:
    """Change a binding's vNIC type or profile: an inactive one is planned anew, as in Neutron.

    Raises PortBindingNotFound, PortBindingError.
    """
    port = _of_compute(world, command)
    binding = _asked_for(port, command.host)
    if binding.prepared is None:
        wanted = PortChange(id=port.id, vnic_type=command.vnic_type, profile=command.profile)
        return decisions.update(world, UpdatePorts(caller=command.caller, changes=(wanted,)))
    given = {"vnic_type": command.vnic_type, "profile": command.profile}
    changes: Mapping[str, Any] = {key: one for key, one in given.items() if one is not UNSET}
    prepared = replace(binding.prepared, **changes)
    if prepared == binding.prepared:
        return (port,)
    if binding.is_standby:
        _require_served(world, port, command.host, prepared)
        port = stand_by(world, port, command.host, prepared)
    else:
        port = _asked_for_anew(world, port, binding, prepared)
    return (_happened(world, port, Event.PREPARE, command),)


def activate(world: World, command: ActivateBinding) -> tuple[Port, ...]:
    """Make an inactive binding the active one; the one before is withdrawn, and stays asked for.

    Raises PortBindingAlreadyActive, PortBindingNotFound.
    """
    port = _of_compute(world, command)
    chosen = _asked_for(port, command.host)
    if chosen.prepared is None:
        raise PortBindingAlreadyActive(
            f"Binding for port {port.id} on host {command.host} is already active."
        )
    aside = own_kind(port)
    for binding in port.bindings:
        if binding.active:
            port = _set_aside(world, port, binding, aside)
        elif binding.prepared is None and binding.state is not BindingState.WITHDRAWING:
            port = withdraw(world, port, binding, Event.REBIND)  # wired ahead
    port = replace(port, vnic_type=chosen.prepared.vnic_type, profile=chosen.prepared.profile)
    if chosen.is_standby:
        active = _activated(world, port, chosen)
        port = replace(with_binding(port, active), generation=active.generation, ever_bound=True)
    else:  # back to where it withdraws
        port = place(world, port, command.host)
    return (_happened(world, port, Event.ACTIVATE, command),)


def delete(world: World, command: DeleteBinding) -> tuple[Port, ...]:
    """Delete a binding; the active one leaves the port without a host.

    Raises PortBindingNotFound.
    """
    port = decisions.owned(world, command.caller, command.port_id)
    binding = _asked_for(port, command.host)
    port = withdraw(world, port, binding, Event.UNBIND)
    actor = decisions.actor_of(command.caller)
    return (happen(world, port, Event.UNBIND, actor=actor, binding=binding),)


def is_asked_for(binding: Binding) -> bool:
    """Whether an orchestrator knows of it: one that only withdraws, or is wired ahead, is ours."""
    return binding.active or binding.prepared is not None


def _asked_for_anew(world: World, port: Port, binding: Binding, prepared: Prepared) -> Port:
    """What withdraws is to stay as a standby, of this kind, when it has."""
    asked_for = replace(binding, prepared=prepared)
    return with_binding(port, step(asked_for, Event.PREPARE, now=world.now))


def _set_aside(world: World, port: Port, binding: Binding, prepared: Prepared) -> Port:
    """What may answer for the port withdraws, and stays asked for; at once where nothing can."""
    after = step(replace(binding, active=False, prepared=prepared), Event.REBIND, now=world.now)
    if after.state is BindingState.WITHDRAWING and was_told(binding):
        return with_binding(port, after)
    return stand_by(world, port, binding.host, prepared)


def _activated(world: World, port: Port, standby: Binding) -> Binding:
    """The binding that a standby becomes; its underlay's deadline starts now if it has a device."""
    after = replace(
        step(standby, Event.ACTIVATE, now=world.now),
        active=True,
        generation=port.generation + 1,
        cause=standby.cause,
        was_up=False,
        device_seen_at=None if standby.device_seen_at is None else world.now,
        prepared=None,
    )
    by_hand = Plane.UNDERLAY not in planes_on(after, port, network_of(world, port))
    if by_hand and after.state is BindingState.PREPARING and after.vif_type is VifType.OTHER:
        return step(after, Event.PLANE_UP, now=world.now)  # nobody wires it
    return after


def _happened(
    world: World,
    port: Port,
    event: Event,
    command: PrepareBinding | ChangeBinding | ActivateBinding,
) -> Port:
    actor, binding = decisions.actor_of(command.caller), port.binding_on(command.host)
    return happen(world, port, event, actor=actor, binding=binding)


def _of_compute(world: World, command: PrepareBinding | ChangeBinding | ActivateBinding) -> Port:
    port = decisions.owned(world, command.caller, command.port_id)
    if not port.device_owner.startswith(_COMPUTE):
        raise BadRequest(
            f"Bad port request: Invalid port {port.id}. Operation only valid on compute ports.",
            next=f"its device_owner is '{port.device_owner}': only an instance's port, whose "
            f"device_owner begins with {_COMPUTE}, can be on several hosts",
        )
    return port


def _asked_for(port: Port, host: str) -> Binding:
    binding = port.binding_on(host)
    if binding is None or not is_asked_for(binding):
        there = ", ".join(one.host for one in port.bindings if is_asked_for(one)) or "none"
        raise PortBindingNotFound(
            f"Binding for port {port.id} for host {host} could not be found.",
            next=f"the port has bindings on these hosts: {there}",
        )
    return binding


def _require_served(world: World, port: Port, host: str, kind: Prepared) -> None:
    refusal = refusal_of(world, port, kind, host)
    if refusal:
        raise PortBindingError(
            f"Binding for port {port.id} on host {host} could not be created or updated: "
            f"{refusal}.",
            next="remove the cause, or choose another host",
        )


def _require_heard(world: World, port: Port, host: str) -> None:
    active = port.active_binding
    if active is None or not may_answer(active):
        return
    here = world.hosts.get(active.host)
    if here is not None and here.state is HostState.UNKNOWN:
        raise PortBindingError(
            f"Binding for port {port.id} on host {host} could not be created or updated: host "
            f"{active.host}, which it would leave, is silent, and nothing could answer for the port"
            " elsewhere until that host has withdrawn it.",
            next=f"start netwright agent on {active.host}; if that host is dead, fence it"
            f" (netwright host fence {active.host}) and rebuild the instance elsewhere",
        )
