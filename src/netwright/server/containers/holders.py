"""Who has a container's port, or had it last: as decisions ask it, and in words."""

from netwright.model.containers import FOREVER, WHILE_OWNER_EXISTS, Claim
from netwright.model.resources import Port
from netwright.model.states import BindingState, PortState
from netwright.model.wire import CONTAINER_OWNER
from netwright.server.world import World


def named(world: World, project_id: str, unique_name: str) -> Port | None:
    """The port that bears the name now."""
    port_id = world.unique_names.get((project_id, unique_name))
    port = None if port_id is None else world.ports.get(port_id)
    return None if port is None or port.state is PortState.RELEASING else port


def is_containers(port: Port) -> bool:
    return port.device_owner == CONTAINER_OWNER


def container_of(port: Port) -> str:
    """The container that has the port, or had it last."""
    return port.device_id if port.claim is None else port.claim.container_id


def host_of(port: Port) -> str:
    """Where the port is bound, or was bound last; "": nobody knows."""
    active = port.active_binding
    if active is not None:
        return active.host
    return "" if port.claim is None else port.claim.host


def is_live(port: Port) -> bool:
    """Whether a container may have it still: it is bound, and its end was neither told nor forced.

    A fenced host is dead by its operator's word.
    """
    active = port.active_binding
    if active is None or active.state is BindingState.FENCED:
        return False
    return port.claim is None or not port.claim.is_ended


def holder(port: Port) -> str:
    """Who has it, in words."""
    return who(port.claim, container_of(port), host_of(port))


def who(claim: Claim | None, container_id: str, host: str) -> str:
    container = f"container {container_id or 'unnamed'}"
    pod = (
        f"pod {claim.pod}, {container}"
        if claim is not None and claim.pod is not None
        else container
    )
    return f"{pod}, on host {host}" if host else pod


def held_by(port: Port) -> str:
    """Who lives by the port's name, and since which claim: no other claim of it has the same."""
    attempt = 0 if port.claim is None else port.claim.attempt
    return f"{container_of(port)}@{host_of(port)}/{attempt}"


def of_whom(claim: Claim) -> str:
    """The container and its pod, without a place."""
    return who(claim, claim.container_id, "")


def kept_how(claim: Claim) -> str:
    """How long the claim has its port kept, as it was asked for."""
    if claim.keep == FOREVER:
        return "forever, until somebody deletes it"
    if claim.keep == WHILE_OWNER_EXISTS:
        owner = claim.owner
        return (
            "no longer: its owner is gone"
            if owner is None
            else f"while {owner.kind} {owner.name} exists"
        )
    return f"for {claim.keep}"
