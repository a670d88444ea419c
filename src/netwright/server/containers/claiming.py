"""Who gets a container's port, and by which name: decided in the committer, on what is there then.

The port of the name         is claimed from     and then
is not there                 anywhere            made and bound
is kept, or its host fenced  within its domain   bound here: the same address
lives on another host        within its domain   bound here; there it withdraws first (law 5)
lives here                   its own container   answered as it is (law 4)
lives here                   another container   refused, unless the request says that one ended
lives on                     one that lost it    refused, until that one's end is told (law 3)
lives on another host        unlike it was when  refused: it was a living pod's meanwhile
                             Kubernetes was asked
lives                        and the claim       refused, with who has it: a claim that comes late
                             names another       takes nothing from whoever lives by then (ADR 59)
is no container's, or of a network that the labels do not select, or out of its domain: refused
"""

from functools import partial

from msgspec.structs import replace

from netwright.model.container_errors import NameHeld, OutsideDriftDomain
from netwright.model.containers import Claim
from netwright.model.errors import (
    Conflict,
    HostNotFound,
    PortBindingError,
    StaleEpoch,
    UniqueNameConflict,
)
from netwright.model.labels import parse_selector
from netwright.model.resources import Network, Port
from netwright.model.states import Event
from netwright.server.commands import PortDraft
from netwright.server.containers import places, slots
from netwright.server.containers.commands import ClaimPort
from netwright.server.containers.holders import (
    container_of,
    held_by,
    holder,
    host_of,
    is_containers,
    is_live,
    kept_how,
    named,
    of_whom,
)
from netwright.server.handed_over import require_free
from netwright.server.ports.bindings import bind, place
from netwright.server.ports.decisions import actor_of, create_in
from netwright.server.ports.lifecycle import happen
from netwright.server.ports.network_choice import create_where_free
from netwright.server.ports.refusals import network_of, own_kind, refusal_of
from netwright.server.world import World


def claim(world: World, command: ClaimPort) -> Port:
    """The port that the container has now.

    Raises UniqueNameConflict, NoSlotFree, OutsideDriftDomain, PortBindingError, StaleEpoch,
    HostNotFound, IdInUse, and what making a port does.
    """
    _require_newest(world, command)
    if command.slots:
        command = slots.chosen(world, command, partial(_obstacle, world, command))
    draft = command.draft
    port = named(world, draft.project_id, draft.unique_name or "")
    if port is None:
        require_free(world.ports, "Port", draft.id)
        return create_where_free(world, draft, partial(_make, world, command))
    obstacle = _obstacle(world, command, port)
    if obstacle is not None:
        raise obstacle
    return _take(world, command, port)


def _require_newest(world: World, command: ClaimPort) -> None:
    """An older life of the host's agent has no say, however long its request was under way."""
    host = world.hosts.get(command.draft.host)
    if host is None:
        raise HostNotFound(f"Host {command.draft.host} has never registered.", next="Register it.")
    if host.epoch != command.epoch:
        raise StaleEpoch(
            f"A newer agent of host {host.name} has registered than the one that asks.",
            next="End this agent; two of them must not serve one host.",
        )


def _make(world: World, command: ClaimPort, network: Network) -> Port:
    draft = command.draft
    why = places.obstacle(world, network, "", draft.host) if command.keep else ""
    if why:
        raise OutsideDriftDomain(f"No port is made for it: {why}.", next=_GO_ELSEWHERE)
    port = create_in(world, command.caller, replace(draft, host=""), network)
    port = replace(port, claim=_claimed(command, None, ()))
    return bind(world, port, draft.host, actor=actor_of(command.caller), cause=_words(port))


def _obstacle(world: World, command: ClaimPort, port: Port) -> Conflict | None:
    """Why the container cannot have this port; None: it can."""
    draft, network = command.draft, network_of(world, port)
    refusal = _mismatch(draft, port, network) or _newer(draft, port) or _another_pods(command, port)
    if refusal is not None:
        return refusal
    if is_live(port) and host_of(port) == draft.host:
        return _rival(command, port) or _held_by_another(command, port)
    why = places.obstacle(world, network, host_of(port), draft.host)
    if why:
        return OutsideDriftDomain(
            f"Port {port.id} ({port.unique_name}) cannot move there: {why}.", next=_GO_ELSEWHERE
        )
    return _unserved(world, port, draft) or _held_by_another(command, port)


def _mismatch(draft: PortDraft, port: Port, network: Network) -> Conflict | None:
    """The name is that of something else than what is asked for."""
    if not is_containers(port):
        return UniqueNameConflict(
            f"unique_name '{port.unique_name}' is that of a port that is no container's on host"
            f" {draft.host}.",
            next="Give that port another name, or delete it.",
        )
    if parse_selector(draft.network_labels).matches(network.labels):
        return None
    return UniqueNameConflict(
        f"unique_name '{port.unique_name}' is port {port.id}'s in network {network.id}, which"
        f" '{draft.network_labels}' does not select; it is, or was last, of {holder(port)}.",
        next="ask for that network's labels, choose another name, or delete that port",
    )


def _newer(draft: PortDraft, port: Port) -> Conflict | None:
    """A newer container, which lives, has claimed it from this one (law 3)."""
    if port.claim is None or draft.device_id not in port.claim.lost_by:
        return None
    return UniqueNameConflict(
        f"unique_name '{port.unique_name}' is of {holder(port)}, which claimed it from container"
        f" {draft.device_id}.",
        next="end the older container (CNI DEL), and start it anew if it shall have the name",
    )


def _another_pods(command: ClaimPort, port: Port) -> Conflict | None:
    """A pod on another host has it, of which nobody has asked whether it is over."""
    pod = None if port.claim is None else port.claim.pod
    if command.takes_from is None or pod is None:
        return None
    is_elsewhere = is_live(port) and host_of(port) != command.draft.host
    own = "" if command.pod is None else command.pod.uid
    if not is_elsewhere or pod.uid in {own, command.takes_from}:
        return None
    return UniqueNameConflict(
        f"unique_name '{port.unique_name}' is of {holder(port)}, which claimed it meanwhile.",
        next="ask again, should that pod be over",
    )


def _rival(command: ClaimPort, port: Port) -> Conflict | None:
    """Another container of the same host has it."""
    if container_of(port) in {command.draft.device_id, command.replaces}:
        return None
    return UniqueNameConflict(
        f"unique_name '{port.unique_name}' is of {holder(port)}, which has not ended.",
        next="end that container first (CNI DEL), or give this one another name",
    )


def _unserved(world: World, port: Port, draft: PortDraft) -> Conflict | None:
    """A host that cannot serve the port does not take it from one where it works."""
    if not is_live(port):
        return None
    refusal = refusal_of(world, port, own_kind(port), draft.host)
    if not refusal:
        return None
    return PortBindingError(
        f"Port {port.id} stays with {holder(port)}: {refusal}.",
        next="remove the cause, or start the container on another host",
    )


def _held_by_another(command: ClaimPort, port: Port) -> Conflict | None:
    """Who asks does not know yet from whom it takes the name, or knew it too long ago."""
    is_its = container_of(port) == command.draft.device_id and host_of(port) == command.draft.host
    if command.takes is None or is_its or not is_live(port) or command.takes == held_by(port):
        return None
    return NameHeld(
        f"unique_name '{port.unique_name}' is of {holder(port)}, and container"
        f" {command.draft.device_id} takes it from {command.takes or 'nobody'}.",
        next="ask again, and name it by `takes` as `held_by` says, should it be meant",
        held_by=held_by(port),
    )


def _take(world: World, command: ClaimPort, port: Port) -> Port:
    draft, before = command.draft, port
    claim = _claimed(command, before.claim, _lost_by(before, command))
    port = replace(port, device_id=draft.device_id, name=draft.name, claim=claim)
    active = port.active_binding
    is_here = active is not None and active.host == draft.host
    if is_here and container_of(before) == draft.device_id and is_live(before):
        return _renewed(world, before, port)
    said = f"{_words(port)}; before it was of {holder(before)}"
    if not is_here:
        return bind(world, port, draft.host, actor=actor_of(command.caller), cause=said)
    port = place(world, port, draft.host)  # another container's device: a generation of its own
    placed = port.binding_on(draft.host)
    cause = (placed.cause if placed else "") or said
    actor = actor_of(command.caller)
    return happen(world, port, Event.BIND, actor=actor, binding=placed, cause=cause)


def _renewed(world: World, before: Port, port: Port) -> Port:
    """Asked for again: what the request says anew is noted, and nothing else happens."""
    if before.claim is not None and port.claim is not None and before.claim.pod == port.claim.pod:
        port = replace(port, claim=replace(port.claim, owner_gone=before.claim.owner_gone))
    if port == before:
        return before
    port = replace(port, revision_number=port.revision_number + 1, updated_at=world.now)
    world.ports.put(port.id, port)
    return port


def _lost_by(before: Port, command: ClaimPort) -> tuple[str, ...]:
    """The containers that may live without the port once it is claimed, the newest last."""
    older = () if before.claim is None else before.claim.lost_by
    is_over = before.claim is not None and before.claim.is_ended
    had = container_of(before)
    known_dead = {"", command.draft.device_id, command.replaces}
    if before.active_binding is None or is_over or had in known_dead:
        return older
    return (*older, had)[-_LOST_MAX:]


def _claimed(command: ClaimPort, before: Claim | None, lost_by: tuple[str, ...]) -> Claim | None:
    """None for a port that bears its container's own name, as an agent without pods asks for it.

    A claim that comes late makes none of the same container older.
    """
    if not (command.keep or command.pod or lost_by):
        return None
    is_its = before is not None and before.container_id == command.draft.device_id
    heard = before.attempt if before is not None and is_its else 0
    return Claim(
        container_id=command.draft.device_id,
        host=command.draft.host,
        keep=command.keep,
        pod=command.pod,
        lost_by=lost_by,
        attempt=max(command.attempt, heard),
    )


def _words(port: Port) -> str:
    if port.claim is None:
        return ""
    kept = f", kept {kept_how(port.claim)} when it ends" if port.claim.keep else ""
    return f"claimed by {of_whom(port.claim)}{kept}"


_LOST_MAX = 64
_GO_ELSEWHERE = (
    "start the container on a host within the domain, change the network's drift_domain, or delete"
    " the port for an address there"
)
