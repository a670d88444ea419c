"""What a decision finds missing in what was loaded for it; it is loaded, and decided again.

Nothing is missing as a rule: what a command needs is known beforehand (`needs`). Full subnets, MACs
that are taken, networks that turn out to be full are rare, and loading for them always is dear.
"""

from typing import Any, TypeAlias

from msgspec.structs import replace

from netwright.db.transaction import Transaction
from netwright.ipam.ledger import NeedsBlocks
from netwright.server.commands import PortDraft
from netwright.server.containers.slots import NeedsPorts
from netwright.server.floating.known import NeedsFloatingIps
from netwright.server.needs import Needs, need_port
from netwright.server.overlay.transit import NeedsTransitVnis
from netwright.server.overlay.vlans import NeedsVlans
from netwright.server.ports.macs import NeedsMacs
from netwright.server.ports.network_choice import NeedsChoice
from netwright.server.quotas import NeedsQuotas
from netwright.server.segments import NeedsVnis
from netwright.server.store.floating import load_floating_of
from netwright.server.store.labelled import choose_again
from netwright.server.store.leasing import Aside, supply
from netwright.server.store.loading import load, load_more_macs
from netwright.server.store.memory import Memory
from netwright.server.store.overlay import load_domain
from netwright.server.store.quotas import load_quotas
from netwright.server.store.vnis import load_free_transit_vnis, load_free_vnis
from netwright.server.world import World

Missing: TypeAlias = (
    NeedsBlocks
    | NeedsMacs
    | NeedsVnis
    | NeedsQuotas
    | NeedsChoice
    | NeedsVlans
    | NeedsTransitVnis
    | NeedsPorts
    | NeedsFloatingIps
)
MISSING = (
    NeedsBlocks,
    NeedsMacs,
    NeedsVnis,
    NeedsQuotas,
    NeedsChoice,
    NeedsVlans,
    NeedsTransitVnis,
    NeedsPorts,
    NeedsFloatingIps,
)


async def load_missing(  # noqa: PLR0917 - five of them are a batch's
    tx: Transaction,
    aside: Aside[Any],
    world: World,
    memory: Memory,
    missing: Missing,
    items: int,
) -> None:
    """Load it, for a command of so many items."""
    match missing:
        case NeedsBlocks():
            await supply(tx, aside, world, {missing.subnet_id: missing.wanted})
        case NeedsMacs():
            await load_more_macs(tx, world, missing.keys)
        case NeedsVnis():
            await load_free_vnis(tx, world, missing.start, items)
        case NeedsTransitVnis():
            await load_free_transit_vnis(tx, world, missing.start, items, missing.ranges)
        case NeedsVlans():
            await load_domain(tx, world, missing.domain)
        case NeedsQuotas():
            await load_quotas(tx, world, memory, {missing.project_id, *world.projects()})
        case NeedsFloatingIps():
            await load_floating_of(tx, world, missing.ports, missing.routers)
        case NeedsPorts():
            await load(tx, world, Needs(ports=set(missing.ids)), memory)
        case NeedsChoice():
            await _choose_again(tx, world, memory, missing.draft)


async def _choose_again(tx: Transaction, world: World, memory: Memory, draft: PortDraft) -> None:
    chosen = await choose_again(tx, world, memory, draft)
    if chosen is not None:
        needs = Needs()
        need_port(needs, replace(draft, network_id=chosen))
        await load(tx, world, needs, memory)
