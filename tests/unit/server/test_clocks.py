"""Clocks that jump, or differ: whatever they say, an address has one holder and none is lost."""

import asyncio
import random
from collections.abc import AsyncIterator, Sequence

import pytest
from tests.doubles.clock import Clock
from tests.doubles.postgres import Postgres

from netwright.model.errors import IpAddressGenerationFailure, NetwrightError
from netwright.model.resources import NetworkType, Port, Segment
from netwright.server.commands import (
    Caller,
    CreateNetworks,
    CreatePorts,
    CreateSubnets,
    DeletePorts,
    NetworkDraft,
    PortDraft,
    SubnetDraft,
)
from netwright.server.core import Core
from netwright.server.queries import Query

ADMIN = Caller(project_id="p", is_admin=True)
CAPACITY = 125  # a /25, without network, broadcast and gateway: two blocks
JUMPS_S = (-7_200.0, -61.0, -1.0, 0.5, 31.0, 59.0, 61.0, 3_600.0, 86_400.0)


async def a_network(core: Core) -> None:
    segment = Segment(
        network_type=NetworkType.VLAN, physical_network="physnet1", segmentation_id=100
    )
    network = NetworkDraft(id="net", project_id="p", segment=segment)
    cidr = "10.0.0.0/25"
    subnet = SubnetDraft(id="sub", project_id="p", network_id="net", cidr=cidr, ip_version=4)
    await core.commit(CreateNetworks(caller=ADMIN, drafts=(network,)))
    await core.commit(CreateSubnets(caller=ADMIN, drafts=(subnet,)))


async def create(core: Core, port_id: str) -> bool:
    """Whether there was an address for it."""
    draft = PortDraft(id=port_id, project_id="p", network_id="net")
    try:
        await core.commit(CreatePorts(caller=ADMIN, drafts=(draft,)))
    except IpAddressGenerationFailure:
        return False
    return True


async def held(core: Core) -> dict[str, str]:
    """The address of each port; no address has two."""
    ports: Sequence[Port] = await core.reader.many(Port, Query())
    by_address = {port.fixed_ips[0].ip_address: port.id for port in ports}
    assert len(by_address) == len(ports), "an address has two holders"
    return {port_id: address for address, port_id in by_address.items()}


async def churn(cores: Sequence[Core], clocks: Sequence[Clock], chance: random.Random) -> None:
    """Ports come and go at all cores while clocks jump; then all addresses are there to be had."""
    acknowledged: set[str] = set()
    number = 0
    for _ in range(40):
        chance.choice(clocks).now += chance.choice(JUMPS_S)
        names = [f"p{number + n}" for n in range(chance.randint(1, 12))]
        number += len(names)
        made = await asyncio.gather(*(create(chance.choice(cores), name) for name in names))
        acknowledged.update(name for name, done in zip(names, made, strict=True) if done)
        going = chance.sample(sorted(acknowledged), k=min(len(acknowledged), chance.randint(0, 9)))
        await asyncio.gather(
            *(chance.choice(cores).commit(DeletePorts(caller=ADMIN, ids=(each,))) for each in going)
        )
        acknowledged.difference_update(going)
        assert set(await held(cores[0])) == acknowledged
    left = [f"last{n}" for n in range(CAPACITY - len(acknowledged))]
    made = await asyncio.gather(*(create(chance.choice(cores), name) for name in left))
    assert all(made), f"{made.count(False)} addresses are free and were not found"
    assert len(await held(cores[-1])) == CAPACITY
    assert not any(await asyncio.gather(*(create(core, "more") for core in cores)))


@pytest.mark.parametrize("seed", range(3))
async def test_a_clock_that_jumps_gives_no_address_twice(database_url: str, seed: int) -> None:
    clock = Clock()
    clock.now = 1_000_000.0
    core = await Core.open(database_url, clock)
    await core.start()
    try:
        await a_network(core)
        await churn([core], [clock], random.Random(seed))
    finally:
        await core.close()


@pytest.fixture
async def three(postgres_server: Postgres) -> AsyncIterator[tuple[list[Core], list[Clock]]]:
    url = postgres_server.new_database()
    clocks = [Clock() for _ in range(3)]
    cores = []
    for n, clock in enumerate(clocks):
        clock.now = 1_000_000.0 + 5_000.0 * n
        cores.append(await Core.open(url, clock))
        await cores[-1].start()
    yield cores, clocks
    for core in cores:
        await core.close()


@pytest.mark.parametrize("seed", range(3))
async def test_processes_whose_clocks_differ_give_no_address_twice(
    three: tuple[list[Core], list[Clock]], seed: int
) -> None:
    cores, clocks = three
    await a_network(cores[0])
    await churn(cores, clocks, random.Random(seed))


async def test_a_lease_that_lapsed_by_one_clock_is_fenced_by_its_token(
    three: tuple[list[Core], list[Clock]],
) -> None:
    """The slow one's holder still thinks that it acts: its token is the lower one."""
    cores, clocks = three
    first = await cores[0].take_lease("fabric", "a", 10)
    clocks[2].now += 1e6
    second = await cores[2].take_lease("fabric", "b", 10)
    assert second > first
    with pytest.raises(NetwrightError):
        await cores[0].take_lease("fabric", "a", 10)
