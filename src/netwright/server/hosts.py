"""Decisions about hosts: registration, silence, fences, and the devices that they see.

(none) ─register─▶ up ⇄ unknown (silent 15 s, heard again)
up, unknown ─fence─▶ fenced ─unfence─▶ up
"""

from collections.abc import Iterator, Mapping

from msgspec.structs import replace

from netwright.model.conditions import FENCED, agents_words, but_the_fence, servers_words
from netwright.model.errors import HostInUse, HostNotFound, StaleEpoch
from netwright.model.resources import Binding, FencedPort, Host, HostState, Port
from netwright.model.states import BindingState, Event
from netwright.model.wire import (
    DeviceAnswers,
)
from netwright.server.commands import (
    DeleteHost,
    FenceHost,
    HeartbeatHost,
    RegisterHost,
    SeeDevices,
    UnfenceHost,
)
from netwright.server.overlay.attachments import end
from netwright.server.overlay.leaf_links import heard
from netwright.server.overlay.port_fences import lifted, spoken_as
from netwright.server.ports.bindings import (
    offer,
    retry,
    withdraw,
    withdrawn,
)
from netwright.server.ports.lifecycle import (
    happen,
    step,
    with_binding,
)
from netwright.server.ports.release import release_if_unbound
from netwright.server.world import World

_FENCE = "netwright host fence"


def register(world: World, command: RegisterHost) -> Host:
    """The host with its agent's new life; refused bindings there are tried again."""
    asked = command.registration
    before = world.hosts.get(command.host)
    fenced = before is not None and before.state is HostState.FENCED
    state = HostState.FENCED if fenced else HostState.UP
    host = Host(
        name=command.host,
        driver=asked.driver,
        state=state,
        epoch=asked.epoch,
        physical_networks=asked.physical_networks,
        management_ip=asked.management_ip,
        nics=asked.nics,
        conditions=before.conditions if before else {},
        conditions_since=before.conditions_since if before else {},
        neighbours=before.neighbours if before else {},
        fenced_ports=before.fenced_ports if before else (),
        port_fences=before.port_fences if before else (),
        state_since=before.state_since if before and before.state is state else world.now,
        heard_at=world.now,
        created_at=before.created_at if before else world.now,
        started_at=before.started_at if before and before.epoch == asked.epoch else world.now,
    )
    world.hosts.put(host.name, host)
    if not fenced:
        _retry_refused(world, host.name)
    return host


def heartbeat(world: World, command: HeartbeatHost) -> Host:
    beat = command.heartbeat
    host = heard_from(world, command.host, beat.epoch)
    after = replace(host, nics=host.nics if beat.nics is None else beat.nics)
    if beat.conditions is not None:
        others = servers_words(host.conditions)
        after = _with_conditions(after, agents_words(beat.conditions) | others, world.now)
    if beat.neighbours is not None:
        after = heard(world, replace(after, neighbours=beat.neighbours))
    if after != host:
        after = replace(after, heard_at=world.now)
        world.hosts.put(after.name, after)
    return after


def fall_silent(world: World, name: str, heard_at: float | None) -> None:
    """The host was not heard in time: it takes no new bindings; nothing else changes (law 5).

    `heard_at` None: not by this process; what an earlier one has stored stands.
    """
    host = world.hosts.get(name)
    if host is not None and host.state is HostState.UP:
        silent = replace(
            host,
            state=HostState.UNKNOWN,
            state_since=world.now,
            heard_at=host.heard_at if heard_at is None else heard_at,
        )
        world.hosts.put(name, silent)


def fence(world: World, command: FenceHost) -> Host:
    """Somebody answers for the host being dead: its bindings are fenced, its addresses may move."""
    host = _known(world, command.host)
    if host.state is HostState.FENCED:
        return host
    after = replace(
        host,
        state=HostState.FENCED,
        state_since=world.now,
        fenced_ports=tuple(_fenced_ports(world, host.name)),
    )
    after = _with_conditions(after, {**host.conditions, FENCED: command.reason}, world.now)
    world.hosts.put(after.name, after)
    cause = f"host {after.name} was fenced: {command.reason}"
    for port, binding in ports_on(world, after.name):
        _fence_binding(world, port, binding, cause)
    return after


def unfence(world: World, command: UnfenceHost) -> Host:
    """The host is clean again, of its ports and of those that left it. It counts as silent."""
    known = _known(world, command.host)
    host = lifted(known, world.now)
    if host.state is not HostState.FENCED:
        if host != known:
            world.hosts.put(host.name, host)
        return host
    after = replace(host, state=HostState.UNKNOWN, state_since=world.now, fenced_ports=())
    after = _with_conditions(after, but_the_fence(host.conditions), world.now)
    world.hosts.put(after.name, after)
    return after


def decommission(world: World, command: DeleteHost) -> int:
    """Forget a host that is gone for good; returns how often its credential was revoked by now.

    Raises HostInUse while its agent is heard or bindings stand there: these hold addresses, which
    only a withdrawal or a fence proves free (laws 2 and 5). Standbys hold none, and go. Likewise
    while nothing but its leaves keeps it from speaking as ports that left it.
    """
    host = _known(world, command.host)
    name = host.name
    if host.state is HostState.UP:
        raise HostInUse(
            f"Host {name} cannot be deleted: its agent is heard.",
            next=f"stop netwright agent on {name} first; it counts as silent after 15 s",
        )
    here = ports_on(world, name)
    bindings = sum(not binding.is_standby for _, binding in here)
    if bindings:
        fence = (
            "" if host.state is HostState.FENCED else f"; if it is dead, fence it: {_FENCE} {name}"
        )
        raise HostInUse(
            f"Host {name} cannot be deleted: {bindings} bindings of ports stand there.",
            next=f"bind these ports to other hosts, or delete them"
            f" (netwright port list --host {name}){fence}",
        )
    dropped = sum(one.is_wanted for one in host.port_fences)
    if dropped and host.state is not HostState.FENCED:
        raise HostInUse(
            f"Host {name} cannot be deleted: its leaves drop what it may still say as {dropped}"
            " ports, which are bound elsewhere by now.",
            next=f"if it is dead, fence it: {_FENCE} {name}; if it is clean: netwright host unfence"
            f" {name}",
        )
    for port, standby in here:
        after = withdraw(world, port, standby, Event.UNBIND)
        happen(world, after, Event.UNBIND, actor="operator", binding=standby)
    for attachment in list(world.attachments.values()):
        if attachment.host == name and attachment.generation:
            end(world, attachment)  # nobody will confirm that it is gone from there
    times = (world.revocations.get(name) or 0) + 1
    world.revocations.put(name, times)
    world.hosts.put(name, None)
    return times


def see_devices(world: World, command: SeeDevices) -> DeviceAnswers:
    """The ports of these devices, if bound here or never bound; other ports are not told of.

    For those bound here the underlay's deadline starts.
    """
    heard_from(world, command.host, command.devices.epoch)
    found = []
    for port_id in command.devices.port_ids:
        port = world.ports.get(port_id)
        if port is None:
            continue
        binding = port.binding_on(command.host)
        if binding is not None and _is_news(binding):
            seen = step(binding, Event.DEVICE_SEEN, now=world.now)
            port = happen(
                world,
                with_binding(port, seen),
                Event.DEVICE_SEEN,
                actor=f"agent {command.host}",
                binding=seen,
            )
        elif binding is None:
            port = offer(world, port, command.host, actor=f"agent {command.host}")
        if port.binding_on(command.host) is None:
            continue  # another host's, or to be wired when it is bound here: the watch tells then
        found.append(port)
    return DeviceAnswers(ports=tuple(found))


def _with_conditions(host: Host, conditions: Mapping[str, str], now: float) -> Host:
    """The host with these conditions; one that it had already began when it began."""
    since = {name: host.conditions_since.get(name, now) for name in conditions}
    return replace(host, conditions=conditions, conditions_since=since)


def _is_news(binding: Binding) -> bool:
    return binding.state is BindingState.PREPARING and binding.device_seen_at is None


def _fenced_ports(world: World, host: str) -> Iterator[FencedPort]:
    """All that the host may still speak as."""
    for port, binding in sorted(ports_on(world, host), key=lambda each: each[0].id):
        yield from spoken_as(port, binding)


def _fence_binding(world: World, port: Port, binding: Binding, cause: str) -> None:
    if binding.state is BindingState.WITHDRAWING:
        gone = withdrawn(world, port, binding, Event.HOST_FENCED, actor="operator", cause=cause)
        release_if_unbound(world, gone)
        return
    after = step(binding, Event.HOST_FENCED, now=world.now, cause=cause)
    port = with_binding(port, after)
    happen(world, port, Event.HOST_FENCED, actor="operator", binding=after, cause=cause)


def _retry_refused(world: World, name: str) -> None:
    for port, binding in ports_on(world, name):
        if binding.state in {BindingState.REFUSED, BindingState.FENCED}:
            retry(world, port, binding, actor="server")


def ports_on(world: World, host: str) -> list[tuple[Port, Binding]]:
    found = []
    for port in world.ports.values():
        binding = port.binding_on(host)
        if binding is not None:
            found.append((port, binding))
    return found


def heard_from(world: World, name: str, epoch: str) -> Host:
    """The host, whose agent has just spoken: if it was silent, what was refused is tried again.

    Raises HostNotFound, also when none of its lives is known since a backup was restored, and
    StaleEpoch when it spoke from an earlier life.
    """
    host = _known(world, name)
    if not host.epoch:
        raise HostNotFound(
            f"The agent of host {name} has not registered since a backup was restored.",
            next="it does so by itself at its next heartbeat",
        )
    if host.epoch != epoch:
        raise StaleEpoch(
            f"host {name} has registered anew since epoch {epoch} (its epoch is {host.epoch})",
            next="another agent runs for this host, or this one must register again: end one",
        )
    if host.state is not HostState.UNKNOWN:
        return host
    host = replace(host, state=HostState.UP, state_since=world.now, heard_at=world.now)
    world.hosts.put(name, host)
    _retry_refused(world, name)
    return host


def _known(world: World, name: str) -> Host:
    host = world.hosts.get(name)
    if host is None:
        raise HostNotFound(
            f"Host {name} could not be found.",
            next=f"it registers when its agent starts: netwright agent --host {name}",
        )
    return host
