"""What a subnet from a pool costs as the pool fills.

Whole requests on SQLite, one after the other, as a client that waits for each reply makes them:
with few subnets in the pool, with 10,000, and with a hole wherever every second one was.
"""

import asyncio
import statistics
import tempfile
from collections.abc import Iterable
from time import perf_counter

from bench.result import Result, at_most
from netwright.model.resources import NetworkType, Segment
from netwright.server.addressing_commands import CreateSubnetPools, SubnetPoolDraft
from netwright.server.commands import (
    Caller,
    CreateNetworks,
    CreateSubnets,
    DeleteSubnet,
    NetworkDraft,
    SubnetDraft,
    Together,
)
from netwright.server.core import Core

ADMIN = Caller(project_id="p", is_admin=True)
SUBNETS = 10_000
MEASURED = 100
BULK = 500
A_NETWORK = 100  # subnets
FLAT_LIMIT = 2.0


def run() -> list[Result]:
    return asyncio.run(_run())


async def _run() -> list[Result]:
    with tempfile.TemporaryDirectory() as directory:
        core = await Core.open(f"sqlite:///{directory}/netwright.db")
        await core.start()
        try:
            return await _measure(core)
        finally:
            await core.close()


async def _measure(core: Core) -> list[Result]:
    networks = range((SUBNETS + 2 * MEASURED) // A_NETWORK)
    await core.commit(CreateNetworks(caller=ADMIN, drafts=tuple(map(_network, networks))))
    await core.commit(CreateSubnetPools(caller=ADMIN, drafts=(_POOL,)))
    await _one_by_one_ms(core, range(MEASURED))  # the first are slower, wherever they are
    few_ms = await _one_by_one_ms(core, range(MEASURED, 2 * MEASURED))
    for start in range(2 * MEASURED, SUBNETS, BULK):
        await core.commit(_subnets(range(start, min(start + BULK, SUBNETS))))
    many_ms = await _one_by_one_ms(core, range(SUBNETS, SUBNETS + MEASURED))
    for start in range(0, SUBNETS, 2 * BULK):
        gone = (DeleteSubnet(caller=ADMIN, id=f"s{n}") for n in range(start, start + 2 * BULK, 2))
        await core.commit(Together(caller=ADMIN, commands=tuple(gone)))
    last = SUBNETS + MEASURED
    holes_ms = await _one_by_one_ms(core, range(last, last + MEASURED))
    return [
        Result("one of few subnets", few_ms, "ms"),
        at_most(f"  … one of {SUBNETS:,} / of few", many_ms / few_ms, FLAT_LIMIT),
        at_most(f"  … between {SUBNETS // 2:,} holes / of few", holes_ms / few_ms, FLAT_LIMIT),
    ]


async def _one_by_one_ms(core: Core, numbers: Iterable[int]) -> float:
    took_s = []
    for number in numbers:
        start = perf_counter()
        await core.commit(_subnets((number,)))
        took_s.append(perf_counter() - start)
    return statistics.median(took_s) * 1e3


_POOL = SubnetPoolDraft(
    id="pool",
    project_id="p",
    name="pool",
    ip_version=4,
    prefixes=("10.0.0.0/8",),
    default_prefixlen=26,
)


def _network(number: int) -> NetworkDraft:
    segment = Segment(network_type=NetworkType.VXLAN, segmentation_id=number + 1)
    return NetworkDraft(id=f"n{number}", project_id="p", segment=segment)


def _subnets(numbers: Iterable[int]) -> CreateSubnets:
    drafts = tuple(
        SubnetDraft(
            id=f"s{number}",
            project_id="p",
            network_id=f"n{number // A_NETWORK}",
            ip_version=4,
            subnetpool_id="pool",
        )
        for number in numbers
    )
    return CreateSubnets(caller=ADMIN, drafts=drafts)
