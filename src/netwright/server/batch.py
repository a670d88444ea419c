"""Decides a batch of commands in one transaction.

    chores ─▶ load ─▶ lease addresses ─▶ decide each (undone alone if it fails)
           ─▶ take the turn ─▶ overtaken? ─▶ write ─▶ commit

Processes that share a database decide at once and write in turns, which also gives the events their
order. A batch that was overtaken, by an event (`overtaking`) or at a unique key, is decided anew on
what is there now; the next time it takes the turn first, and so is overtaken once at most.
"""

from collections.abc import Callable, Collection, Sequence
from functools import partial
from itertools import chain
from typing import Any, NamedTuple

import structlog

from netwright.db.transaction import KeyTaken, Transaction
from netwright.ipam.addresses import Address, to_key
from netwright.ipam.ledger import Ledger, NeedsBlocks
from netwright.model.errors import InternalError, NetwrightError
from netwright.model.segments import VlanRange
from netwright.server import hosts, networks, news, subnets, topology
from netwright.server.commands import (
    ApplyReports,
    Command,
    CreateNetworks,
    CreatePorts,
    CreateSubnets,
    DeleteHost,
    DeleteNetwork,
    DeletePorts,
    DeleteSubnet,
    FenceHost,
    HeartbeatHost,
    RegisterHost,
    ReplaceTopology,
    SeeDevices,
    Tick,
    Together,
    UnfenceHost,
    UpdateNetwork,
    UpdatePorts,
    UpdateSubnet,
)
from netwright.server.history import HISTORY_KEPT, HistoryKept
from netwright.server.needs import Needs, note
from netwright.server.overtaking import is_outdated
from netwright.server.ports import decisions as ports
from netwright.server.ports.deadlines import pass_deadline
from netwright.server.ports.macs import NeedsMacs
from netwright.server.store import schema
from netwright.server.store.cursors import seq_of
from netwright.server.store.leasing import Aside, SubnetChanged, adapt_ledger, demand_of, supply
from netwright.server.store.loading import load, load_more_macs
from netwright.server.store.memory import Memory
from netwright.server.store.upkeep import chores
from netwright.server.store.writing import EventRow, write
from netwright.server.weighing import weight
from netwright.server.world import World

log = structlog.get_logger(__name__)

Outcome = Any  # a command's result, or the NetwrightError that it failed with

_LOADS_AMID_DECISION_MAX = 16


class Decided(NamedTuple):
    """A batch that is written: an outcome for each command; what watchers and the log get of it.

    `others` are events that other processes have committed, as far as they were read on the way.
    `remember` is to be called once it is committed.
    """

    outcomes: list[Outcome]
    events: list[EventRow]
    others: list[EventRow]
    news: list[news.Line]
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
    vlan_ranges: Sequence[VlanRange] = (),
    history: HistoryKept = HISTORY_KEPT,
    turn_first: bool = False,
) -> Decided:
    """Decide the commands in order and write what they change; nothing is committed yet.

    Raises Overtaken when another process was faster.
    """
    world = World(now, ledger, vlan_ranges, history)
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
        outcomes = [await _outcome(tx, aside, world, command, epoch) for command in commands]
    except SubnetChanged as error:
        raise Overtaken from error
    if not turn_first and await tx.take_turn():
        meanwhile = await memory.catch_up(tx)
        if meanwhile is None or is_outdated(world, needs, meanwhile):
            raise Overtaken
        if meanwhile and await _macs_were_held(tx, world):
            raise Overtaken
        others += meanwhile
    last = memory.seq
    try:
        events = await write(tx, world, last)
    except KeyTaken as error:
        raise Overtaken(_wanted(world)) from error
    remember = partial(memory.commit, world, last + len(events))
    return Decided(outcomes, events, others, _news(world), remember)


class Overtaken(Exception):
    """Another process changed what this batch was decided on: decide it anew.

    `wanted` are the keys of allocations that were to be inserted when one was found to be taken.
    """

    def __init__(self, wanted: Collection[tuple[str, Address]] = ()) -> None:
        super().__init__("another process was faster")
        self.wanted = wanted


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
    return [*chain.from_iterable(of_hosts), *of_ports]


def _wanted(world: World) -> set[tuple[str, Address]]:
    return {key for key, before, now in world.allocations.changed() if now and not before}


async def _outcome(
    tx: Transaction, aside: Aside[Any], world: World, command: Command, epoch: str
) -> Outcome:
    for _ in range(_LOADS_AMID_DECISION_MAX + weight(command)):
        outcome = _attempt(world, command, epoch)
        if isinstance(outcome, NeedsBlocks):
            await supply(tx, aside, world, {outcome.subnet_id: outcome.wanted})
        elif isinstance(outcome, NeedsMacs):
            await load_more_macs(tx, world, outcome.keys)
        else:
            return outcome
    log.error("no end of loading", command=type(command).__name__)
    return _defect(command)


def _attempt(world: World, command: Command, epoch: str) -> Outcome | NeedsBlocks | NeedsMacs:
    try:
        with world.attempt():
            return _decide(world, command, epoch)
    except (NetwrightError, NeedsBlocks, NeedsMacs) as why:
        return why
    except Exception:  # a defect of ours must fail its own command only
        log.exception("decision failed", command=type(command).__name__)
        return _defect(command)


def _defect(command: Command) -> InternalError:
    return InternalError(
        f"{type(command).__name__} met a defect of the server; nothing was changed",
        next="the server's log has the trace",
    )


def _decide(world: World, command: Command, epoch: str) -> Outcome:  # noqa: C901, PLR0911, PLR0912 - a table
    match command:
        case CreatePorts():
            return ports.create(world, command)
        case UpdatePorts():
            return ports.update(world, command)
        case DeletePorts():
            return ports.delete(world, command)
        case ApplyReports():
            return hosts.apply_reports(world, command, lambda cursor: seq_of(cursor, epoch))
        case SeeDevices():
            return hosts.see_devices(world, command)
        case CreateNetworks():
            return networks.create(world, command)
        case UpdateNetwork():
            return networks.update(world, command)
        case DeleteNetwork():
            return networks.delete(world, command)
        case CreateSubnets():
            return subnets.create(world, command)
        case UpdateSubnet():
            return subnets.update(world, command)
        case DeleteSubnet():
            return subnets.delete(world, command)
        case RegisterHost():
            return hosts.register(world, command)
        case HeartbeatHost():
            return hosts.heartbeat(world, command)
        case FenceHost():
            return hosts.fence(world, command)
        case UnfenceHost():
            return hosts.unfence(world, command)
        case DeleteHost():
            return hosts.decommission(world, command)
        case ReplaceTopology():
            return topology.replace(world, command)
        case Together():
            return tuple(_decide(world, each, epoch) for each in command.commands)
        case Tick():
            return _tick(world, command)
    raise TypeError(f"nobody decides {type(command).__name__}")


def _tick(world: World, command: Tick) -> tuple[()]:
    for name in command.silent_hosts:
        hosts.fall_silent(world, name, command.heard.get(name))
    for port_id in command.overdue_ports:
        pass_deadline(world, port_id)
    return ()
