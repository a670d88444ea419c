"""Decides a batch of commands in one transaction.

    chores ─▶ load ─▶ lease addresses ─▶ decide each (undone alone if it fails) ─▶ write ─▶ commit

A taken key found while writing means that another process was faster: the batch is decided anew on
what is there now.
"""

import sqlite3
from collections.abc import Collection, Sequence
from typing import Any

import structlog

from netwright.ipam.addresses import Address, to_key
from netwright.ipam.ledger import Ledger, NeedsBlocks
from netwright.model.errors import InternalError, NetwrightError
from netwright.model.segments import VlanRange
from netwright.server import hosts, networks, subnets, topology
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
    UnfenceHost,
    UpdateNetwork,
    UpdatePorts,
    UpdateSubnet,
)
from netwright.server.history import HISTORY_KEPT, HistoryKept
from netwright.server.needs import Needs, note
from netwright.server.ports import decisions as ports
from netwright.server.ports.deadlines import pass_deadline
from netwright.server.store.cursors import seq_of
from netwright.server.store.leasing import adapt_ledger, demand_of, supply
from netwright.server.store.loading import load
from netwright.server.store.upkeep import chores
from netwright.server.store.writing import EventRow, write
from netwright.server.world import World

log = structlog.get_logger(__name__)

Outcome = Any  # a command's result, or the NetwrightError that it failed with

_LEASES_AMID_DECISION_MAX = 16


def run(
    connection: sqlite3.Connection,
    commands: Sequence[Command],
    *,
    ledger: Ledger,
    now: float,
    epoch: str,
    vlan_ranges: Sequence[VlanRange] = (),
    history: HistoryKept = HISTORY_KEPT,
) -> tuple[list[Outcome], list[EventRow]]:
    """Decide the commands in order and write what they change; nothing is committed yet."""
    world = World(now, ledger, vlan_ranges, history)
    needs = Needs()
    for command in commands:
        note(needs, command)
    for tick in [command for command in commands if isinstance(command, Tick)]:
        chores(connection, world, tick.heard)  # before loading: it changes rows
    load(connection, world, needs)
    adapt_ledger(world)
    supply(connection, world, demand_of(world, needs))
    outcomes = [_outcome(connection, world, command, epoch) for command in commands]
    try:
        events = write(connection, world)
    except sqlite3.IntegrityError as error:
        raise KeysTaken(_taken(connection, world)) from error
    return outcomes, events


class KeysTaken(Exception):
    """Another process holds a key that this batch chose: decide it anew."""

    def __init__(self, subnets: Collection[str]) -> None:
        super().__init__(f"addresses of {len(subnets)} subnets were taken meanwhile")
        self.subnets = subnets


def _taken(connection: sqlite3.Connection, world: World) -> set[str]:
    """The subnets in which the table has an address that the batch would have inserted."""
    wanted = [key for key, before, now in world.allocations.changed() if now and not before]
    sql = "SELECT 1 FROM allocation WHERE subnet_id = ? AND address = ? AND port_id IS NOT ?"
    return {
        subnet_id
        for subnet_id, address in wanted
        if connection.execute(
            sql, (subnet_id, to_key(address), _holder(world, subnet_id, address))
        ).fetchone()
    }


def _holder(world: World, subnet_id: str, address: Address) -> str | None:
    allocation = world.allocations.get((subnet_id, address))
    return allocation.port_id if allocation else None


def _outcome(connection: sqlite3.Connection, world: World, command: Command, epoch: str) -> Outcome:
    try:
        for _ in range(_LEASES_AMID_DECISION_MAX):
            try:
                with world.attempt():
                    return _decide(world, command, epoch)
            except NeedsBlocks as needs:
                supply(connection, world, {needs.subnet_id: needs.wanted})
    except NetwrightError as error:
        return error
    except sqlite3.Error:
        raise
    except Exception:  # a defect of ours must fail its own command only
        log.exception("decision failed", command=type(command).__name__)
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
        case Tick():
            return _tick(world, command)
    raise TypeError(f"nobody decides {type(command).__name__}")


def _tick(world: World, command: Tick) -> tuple[()]:
    for name in command.silent_hosts:
        hosts.fall_silent(world, name, command.heard.get(name))
    for port_id in command.overdue_ports:
        pass_deadline(world, port_id)
    return ()
