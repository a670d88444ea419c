"""Decides a batch of commands in one transaction.

    chores ─▶ load ─▶ lease addresses ─▶ decide each (undone alone if it fails) ─▶ events
           ─▶ take the turn ─▶ overtaken? ─▶ write ─▶ commit

Processes that share a database decide at once and write in turns, which also gives the events their
order. A batch that was overtaken, by an event (`overtaking`) or at a unique key, is decided anew on
what is there now; the next time it takes the turn first, and so is overtaken once at most.
"""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from functools import partial
from itertools import chain
from typing import Any, NamedTuple

import structlog

from netwright.db.transaction import KeyTaken, Transaction
from netwright.ipam.addresses import Address, to_key
from netwright.ipam.ledger import Ledger
from netwright.model.errors import InternalError, NetwrightError
from netwright.model.quotas import NO_LIMITS
from netwright.model.routing import FloatingIp
from netwright.model.segments import SEGMENT_RULES, SegmentRules
from netwright.server import (
    address_scopes,
    host_reports,
    hosts,
    networks,
    news,
    operations,
    quotas,
    router_interfaces,
    routers,
    subnet_pools,
    subnets,
    tags,
    topology,
)
from netwright.server.addressing_commands import (
    CreateAddressScopes,
    CreateSubnetPools,
    DeleteAddressScope,
    DeleteSubnetPool,
    UpdateAddressScope,
    UpdateSubnetPool,
)
from netwright.server.commands import (
    AcceptOperation,
    ActivateBinding,
    ApplyReports,
    ChangeBinding,
    ChangeTags,
    Command,
    CreateNetworks,
    CreatePorts,
    CreateSubnets,
    DeleteBinding,
    DeleteHost,
    DeleteNetwork,
    DeletePorts,
    DeleteSubnet,
    FailOperation,
    FenceHost,
    HeartbeatHost,
    PerformOperation,
    PrepareBinding,
    RegisterHost,
    ReplaceTopology,
    ResetQuota,
    SeeDevices,
    SetQuota,
    Tick,
    Together,
    UnfenceHost,
    UpdateNetwork,
    UpdatePorts,
    UpdateSubnet,
)
from netwright.server.containers.claiming import claim
from netwright.server.containers.commands import ClaimPort, EndClaim, LetGoOfOwners
from netwright.server.containers.ending import end, expire, let_go
from netwright.server.fabric_commands import AnswerOperation, ApplyFabricReports, AskFabric
from netwright.server.floating import decisions as floating_ips
from netwright.server.history import HISTORY_KEPT, HistoryKept
from netwright.server.missing import MISSING, Missing, load_missing
from netwright.server.needs import Needs
from netwright.server.network_segments import decisions as network_segments
from netwright.server.network_segments.commands import (
    CreateSegments,
    DeleteSegment,
    UpdateSegment,
)
from netwright.server.noting import note
from netwright.server.nova import notices
from netwright.server.overlay import asking, port_fences
from netwright.server.overlay.reporting import apply_fabric_reports, pass_overlay_deadline
from netwright.server.overtaking import is_outdated, may_leave_macs
from netwright.server.ports import decisions as ports
from netwright.server.ports import preparing
from netwright.server.ports.bindings import retry_refused
from netwright.server.ports.deadlines import pass_deadline
from netwright.server.qos import decisions as qos
from netwright.server.qos.commands import (
    AddQosRule,
    ChangeQosRule,
    CreateQosPolicies,
    DeleteQosPolicy,
    RemoveQosRule,
    UpdateQosPolicy,
)
from netwright.server.routing_commands import (
    AddInterface,
    ChangeRoutes,
    CreateFloatingIps,
    CreateRouters,
    DeleteFloatingIp,
    DeleteRouter,
    RemoveInterface,
    UpdateFloatingIp,
    UpdateRouter,
)
from netwright.server.security import address_groups, default_rules
from netwright.server.security import decisions as security
from netwright.server.security.commands import (
    AddSecurityGroupRules,
    CreateAddressGroups,
    CreateDefaultRules,
    CreateSecurityGroups,
    DeleteAddressGroup,
    DeleteDefaultRule,
    DeleteSecurityGroup,
    EnsureDefaultGroup,
    RemoveSecurityGroupRule,
    UpdateAddressGroup,
    UpdateSecurityGroup,
)
from netwright.server.sharing import decisions as sharing
from netwright.server.sharing.commands import (
    CreateRbacPolicies,
    DeleteRbacPolicy,
    UpdateRbacPolicy,
)
from netwright.server.store import schema
from netwright.server.store.cursors import seq_of
from netwright.server.store.event_rows import EventRow
from netwright.server.store.leasing import Aside, SubnetChanged, adapt_ledger, demand_of, supply
from netwright.server.store.loading import load
from netwright.server.store.memory import Memory
from netwright.server.store.quotas import rebase_usage
from netwright.server.store.upkeep import chores
from netwright.server.store.writing import drafts, write
from netwright.server.trunks import decisions as trunks
from netwright.server.trunks import following as trunk_following
from netwright.server.trunks.commands import (
    AddSubPorts,
    CreateTrunks,
    DeleteTrunk,
    RemoveSubPorts,
    UpdateTrunk,
)
from netwright.server.weighing import weight
from netwright.server.world import World

log = structlog.get_logger(__name__)

Outcome = Any  # a command's result, or the NetwrightError that it failed with

_LOADS_AMID_DECISION_MAX = 16


class Decided(NamedTuple):
    """A batch that is written: an outcome for each command; what watchers and the log get of it.

    `others` are events that other processes have committed, as far as they were read on the way.
    `notices` counts those that wait for Nova now. `remember` is to be called once it is committed.
    """

    outcomes: list[Outcome]
    events: list[EventRow]
    others: list[EventRow]
    news: list[news.Line]
    notices: int
    remember: Callable[[], None]


async def run(
    tx: Transaction,
    commands: Sequence[Command],
    *,
    aside: Aside[Any],
    ledger: Ledger,
    memory: Memory,
    now: float,
    epoch: str,
    segment_rules: SegmentRules = SEGMENT_RULES,
    history: HistoryKept = HISTORY_KEPT,
    tells_nova: bool = False,
    quota_defaults: Mapping[str, int] = NO_LIMITS,
    turn_first: bool = False,
) -> Decided:
    """Decide the commands in order and write what they change; nothing is committed yet.

    Notices are written only where Nova is told of them.
    Raises Overtaken when another process was faster.
    """
    world = World(now, ledger, segment_rules, history, quota_defaults)
    needs = Needs()
    for command in commands:
        note(needs, command)
    for tick in [command for command in commands if isinstance(command, Tick)]:
        await aside(partial(chores, world=world, heard=tick.heard))  # first: it changes rows
    if turn_first:
        await tx.take_turn()
    others = await memory.catch_up(tx) or []
    await load(tx, world, needs, memory)
    adapt_ledger(world)
    try:
        await supply(tx, aside, world, demand_of(world, needs))
        more = partial(load_missing, tx, aside, world, memory)
        outcomes = await _outcomes(world, commands, epoch, more)
    except SubnetChanged as error:
        raise Overtaken from error
    told = drafts(world)
    if not turn_first and await tx.take_turn():
        meanwhile = await memory.catch_up(tx)
        if meanwhile is None or await _is_overtaken(tx, world, needs, meanwhile):
            raise Overtaken
        others += meanwhile
    if tells_nova:
        changes = ((before, now) for _, before, now in world.ports.changed())
        world.notices.extend(notices.of_ports(changes))
    last = memory.seq
    try:
        events = await write(tx, world, told, last)
    except KeyTaken as error:
        raise Overtaken(_wanted(world)) from error
    remember = partial(memory.commit, world, last + len(events))
    return Decided(outcomes, events, others, _news(world), len(world.notices), remember)


class Overtaken(Exception):
    """Another process changed what this batch was decided on: decide it anew.

    `wanted` are the keys of allocations that were to be inserted when one was found to be taken.
    """

    def __init__(self, wanted: Collection[tuple[str, Address]] = ()) -> None:
        super().__init__("another process was faster")
        self.wanted = wanted


async def _is_overtaken(
    tx: Transaction, world: World, needs: Needs, meanwhile: Sequence[EventRow]
) -> bool:
    """Whether what the batch was decided on is another by what others have committed meanwhile."""
    if not meanwhile:
        return False
    if is_outdated(world, needs, meanwhile):
        return True
    if may_leave_macs(meanwhile) and await _macs_were_held(tx, world):
        return True
    return await rebase_usage(tx, world)


async def _macs_were_held(tx: Transaction, world: World) -> bool:
    """Whether others have held, and left to a host or to rest, a MAC that the batch takes."""
    taken = [key for key, before, now in world.macs.changed() if now and not before]
    columns = ("network_id", "mac_address", "port_id", "rests_until")
    for network_id, mac, port_id, rests_until in await tx.find(schema.former_mac, columns, taken):
        read = world.former_macs.loaded((network_id, mac))
        if read is None or (read.port_id, read.rests_until) != (port_id, rests_until):
            return True
    return False


async def taken(tx: Transaction, wanted: Collection[tuple[str, Address]]) -> set[str]:
    """The subnets in which others have an address that the batch would have inserted."""
    keys = [(subnet_id, to_key(address)) for subnet_id, address in wanted]
    return {subnet_id for (subnet_id,) in await tx.find(schema.allocation, ("subnet_id",), keys)}


def _news(world: World) -> list[news.Line]:
    of_hosts = (
        news.of_host(name, before, now, world.now) for name, before, now in world.hosts.changed()
    )
    of_ports = news.of_ports((before, now) for _, before, now in world.ports.changed())
    floating = ((before, now) for _, before, now in world.changes_of(FloatingIp))
    return [*chain.from_iterable(of_hosts), *of_ports, *news.of_floating(floating)]


def _wanted(world: World) -> set[tuple[str, Address]]:
    return {key for key, before, now in world.allocations.changed() if now and not before}


async def _outcomes(
    world: World,
    commands: Sequence[Command],
    epoch: str,
    load_more: Callable[[Missing, int], Awaitable[None]],
) -> list[Outcome]:
    outcomes = []
    for command in commands:
        outcome = _attempt(world, command, epoch)
        if isinstance(outcome, MISSING):
            outcome = await _once_loaded(world, command, epoch, load_more, outcome)
        outcomes.append(outcome)
    return outcomes


async def _once_loaded(
    world: World,
    command: Command,
    epoch: str,
    load_more: Callable[[Missing, int], Awaitable[None]],
    missing: Missing,
) -> Outcome:
    for _ in range(_LOADS_AMID_DECISION_MAX * weight(command)):
        await load_more(missing, weight(command))
        outcome = _attempt(world, command, epoch)
        if not isinstance(outcome, MISSING):
            return outcome
        missing = outcome
    log.error("no end of loading", command=type(command).__name__)
    return _defect(command)


def _attempt(world: World, command: Command, epoch: str) -> Outcome | Missing:
    try:
        world.trunks.take()
        with world.attempt():
            outcome = _decide(world, command, epoch)
            trunk_following.settle(world)
            return outcome
    except (NetwrightError, *MISSING) as why:
        return why
    except Exception:  # a defect of ours must fail its own command only
        log.exception("decision failed", command=type(command).__name__)
        return _defect(command)


def _defect(command: Command) -> InternalError:
    return InternalError(
        f"{type(command).__name__} met a defect of the server; nothing was changed",
        next="the server's log has the trace",
    )


def _decide(world: World, command: Command, epoch: str) -> Outcome:
    decision = _DECISIONS.get(type(command))
    if decision is not None:
        return decision(world, command)
    match command:
        case ApplyReports():
            return host_reports.apply_reports(world, command, lambda cursor: seq_of(cursor, epoch))
        case ApplyFabricReports():
            return apply_fabric_reports(world, command, lambda cursor: seq_of(cursor, epoch))
        case PerformOperation():
            return operations.perform(world, command, partial(_decide, world, epoch=epoch))
        case Together():
            return _together(world, command, epoch)
        case _:
            raise TypeError(command)


def _together(world: World, command: Together, epoch: str) -> Outcome:
    done = []
    items = command.items or ("",) * len(command.commands)
    for one, item in zip(command.commands, items, strict=True):
        try:
            done.append(_decide(world, one, epoch))
        except NetwrightError as error:
            raise (error.about(item) if item else error) from error.__cause__
    return tuple(done)


def _tick(world: World, command: Tick) -> tuple[()]:
    for name in command.silent_hosts:
        hosts.fall_silent(world, name, command.heard.get(name))
    for port_id in command.overdue_ports:
        pass_deadline(world, port_id)
    for operation_id in command.late_operations:
        asking.give_up(world, operation_id)
    for network_id, host in command.overdue_attachments:
        pass_overlay_deadline(world, network_id, host)
    port_fences.ask(world, command.silent_ports)
    for port_id in command.refused_ports:
        retry_refused(world, port_id)
    for port_id in command.expired_claims:
        expire(world, port_id)
    for port_id, router_id in command.interfaces:
        router_interfaces.activate(world, port_id, router_id)
    for operation_id in command.old_operations:
        operations.forget(world, operation_id)
    return ()


_DECISIONS: Mapping[type[Command], Callable[[World, Any], Outcome]] = {
    CreatePorts: ports.create,
    UpdatePorts: ports.update,
    DeletePorts: ports.delete,
    ClaimPort: claim,
    EndClaim: end,
    LetGoOfOwners: let_go,
    PrepareBinding: preparing.prepare,
    ChangeBinding: preparing.change,
    ActivateBinding: preparing.activate,
    DeleteBinding: preparing.delete,
    SeeDevices: hosts.see_devices,
    CreateNetworks: networks.create,
    UpdateNetwork: networks.update,
    DeleteNetwork: networks.delete,
    CreateSegments: network_segments.create,
    UpdateSegment: network_segments.update,
    DeleteSegment: network_segments.delete,
    CreateSubnets: subnets.create,
    UpdateSubnet: subnets.update,
    DeleteSubnet: subnets.delete,
    RegisterHost: hosts.register,
    HeartbeatHost: hosts.heartbeat,
    FenceHost: hosts.fence,
    UnfenceHost: hosts.unfence,
    DeleteHost: hosts.decommission,
    ReplaceTopology: topology.replace,
    AcceptOperation: operations.accept,
    FailOperation: operations.fail,
    CreateSecurityGroups: security.create,
    EnsureDefaultGroup: security.ensure_default,
    UpdateSecurityGroup: security.update,
    DeleteSecurityGroup: security.delete,
    AddSecurityGroupRules: security.add_rules,
    RemoveSecurityGroupRule: security.remove_rule,
    CreateAddressGroups: address_groups.create,
    UpdateAddressGroup: address_groups.update,
    DeleteAddressGroup: address_groups.delete,
    CreateDefaultRules: default_rules.create,
    DeleteDefaultRule: default_rules.delete,
    ChangeTags: tags.change,
    SetQuota: quotas.set_limits,
    ResetQuota: quotas.reset,
    ChangeRoutes: routers.change_routes,
    CreateFloatingIps: floating_ips.create,
    UpdateFloatingIp: floating_ips.update,
    DeleteFloatingIp: floating_ips.delete,
    CreateRouters: routers.create,
    UpdateRouter: routers.update,
    DeleteRouter: routers.delete,
    AddInterface: router_interfaces.add,
    RemoveInterface: router_interfaces.remove,
    CreateRbacPolicies: sharing.create,
    UpdateRbacPolicy: sharing.update,
    DeleteRbacPolicy: sharing.delete,
    CreateAddressScopes: address_scopes.create,
    UpdateAddressScope: address_scopes.update,
    DeleteAddressScope: address_scopes.delete,
    CreateSubnetPools: subnet_pools.create,
    UpdateSubnetPool: subnet_pools.update,
    DeleteSubnetPool: subnet_pools.delete,
    CreateTrunks: trunks.create,
    UpdateTrunk: trunks.update,
    DeleteTrunk: trunks.delete,
    AddSubPorts: trunks.add,
    RemoveSubPorts: trunks.remove,
    CreateQosPolicies: qos.create,
    UpdateQosPolicy: qos.update,
    DeleteQosPolicy: qos.delete,
    AddQosRule: qos.add_rule,
    ChangeQosRule: qos.change_rule,
    RemoveQosRule: qos.remove_rule,
    AskFabric: asking.ask,
    AnswerOperation: asking.answer,
    Tick: _tick,
}
