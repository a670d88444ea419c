"""What becomes of a container's port when its container, its time, or its owner is over.

Only what is bound nowhere and whose container has ended goes by time: a clock that jumps frees
nothing that lives. What goes is deleted as any port is, so that its addresses rest (law 2).
"""

from msgspec.structs import replace

from netwright.model.containers import Claim, keep_s
from netwright.model.errors import PortNotFound
from netwright.model.resources import Port
from netwright.model.states import Event, PortState
from netwright.server.containers.commands import EndClaim, LetGoOfOwners
from netwright.server.containers.holders import (
    container_of,
    host_of,
    is_containers,
    kept_how,
    named,
    of_whom,
)
from netwright.server.containers.slots import freed
from netwright.server.ports.bindings import unbind
from netwright.server.ports.decisions import actor_of, remove
from netwright.server.world import World

_ACTOR = "server"


def end(world: World, command: EndClaim) -> tuple[()]:
    """Unbind the container's port, or delete what is not kept. Once more changes nothing.

    Raises PortNotFound, also when the port is another container's: to who ended nothing is left to
    do (law 3). One that lost the port to the newer container may have the name anew from then on.
    """
    port = named(world, command.caller.project_id, command.unique_name)
    if port is not None and _has_lost(port, command):
        return _forget(world, port, command.container_id)
    if port is None or not _is_its(port, command):
        container = f" of container {command.container_id}" if command.container_id else ""
        raise PortNotFound(
            f"No container's port{container} on host {command.host} has unique_name"
            f" '{command.unique_name}'."
        )
    claim = port.claim
    if claim is not None and claim.is_ended:
        return ()
    freed(world, port)
    if claim is None or not claim.keep or claim.owner_gone:
        remove(world, port, actor=actor_of(command.caller))
        return ()
    _keep(world, port, claim, actor_of(command.caller))
    return ()


def expire(world: World, port_id: str) -> None:
    """Delete a kept port whose time is over, if it still is.

    A claim's row that its port does not bear out is put right: an older server wrote the port.
    """
    port = world.ports.get(port_id)
    claim = None if port is None or port.state is PortState.RELEASING else port.claim
    if port is not None and claim is not None and claim.kept_until is not None:
        if claim.kept_until <= world.now:
            _expire(world, port, claim)
        return
    world.containers.doubted.add(port_id)
    if port is None or port.state is PortState.RELEASING or claim is not None:
        return
    if port.active_binding is None and is_containers(port):
        remove(world, port, actor=_ACTOR)


def _expire(world: World, port: Port, claim: Claim) -> None:
    """One that somebody has bound by hand lives on; one that is no container's has no claim."""
    if not is_containers(port):
        _put(world, port, None)
    elif _is_kept(port):
        remove(world, port, actor=_ACTOR)
    else:
        _put(world, port, replace(claim, ended_at=None, kept_until=None))


def let_go(world: World, command: LetGoOfOwners) -> tuple[()]:
    """Delete what was kept for these owners; what lives goes with its container's end."""
    for port_id in command.port_ids:
        port = world.ports.get(port_id)
        claim = None if port is None or port.state is PortState.RELEASING else port.claim
        if port is None or claim is None or not _waits_for(claim, command):
            world.containers.doubted.add(port_id)
        elif not is_containers(port):
            _put(world, port, None)
        elif _is_kept(port):
            remove(world, port, actor=_ACTOR)
        else:
            _put(world, port, replace(claim, owner_gone=True))
    return ()


def _has_lost(port: Port, command: EndClaim) -> bool:
    return port.claim is not None and command.container_id in port.claim.lost_by


def _forget(world: World, port: Port, container_id: str) -> tuple[()]:
    """An older container is over: of the port nothing else changes."""
    assert port.claim is not None, "it was claimed from the container"
    left = tuple(each for each in port.claim.lost_by if each != container_id)
    _put(world, port, replace(port.claim, lost_by=left))
    return ()


def _put(world: World, port: Port, claim: Claim | None) -> None:
    revision = port.revision_number + 1
    after = replace(port, claim=claim, revision_number=revision, updated_at=world.now)
    world.ports.put(port.id, after)


def _is_its(port: Port, command: EndClaim) -> bool:
    is_here = is_containers(port) and host_of(port) == command.host
    return is_here and command.container_id in {"", container_of(port)}


def _keep(world: World, port: Port, claim: Claim, actor: str) -> None:
    seconds = keep_s(claim.keep)
    until = None if seconds is None else world.now + seconds
    claim = replace(claim, host=host_of(port), ended_at=world.now, kept_until=until, lost_by=())
    said = f"{of_whom(claim)} ended; its address is kept {kept_how(claim)}"
    unbind(world, replace(port, claim=claim), Event.UNBIND, actor=actor, cause=said)


def _is_kept(port: Port) -> bool:
    return port.claim is not None and port.claim.is_ended and port.active_binding is None


def _waits_for(claim: Claim, command: LetGoOfOwners) -> bool:
    owner, pod = claim.owner, claim.pod
    if owner is None or pod is None:
        return False
    return pod.cluster == command.cluster and owner.uid in command.owners
