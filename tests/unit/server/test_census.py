"""How many there are of what, for `/metrics`."""

import pytest
from tests.doubles.http import Client
from tests.doubles.service import ServiceDouble
from tests.doubles.store import ADMIN, register

from netwright.model.errors import Unavailable
from netwright.model.resources import NetworkType, Segment
from netwright.model.wire import Heartbeat
from netwright.server.api.app import application
from netwright.server.api.edge import Edge
from netwright.server.auth import TokenAuthenticator
from netwright.server.census import CONDITIONS_MAX, COUNTED_EVERY_S, Census, CensusKept, census
from netwright.server.commands import (
    CreateNetworks,
    CreatePorts,
    CreateSubnets,
    DeletePorts,
    FenceHost,
    HeartbeatHost,
    NetworkDraft,
    PortDraft,
    SubnetDraft,
)
from netwright.server.core import Core
from netwright.server.metrics import Metrics


async def test_it_counts_what_is_stored(database_url: str) -> None:
    core = await Core.open(database_url)
    try:
        await core.start()
        assert await core.reader.census() == census(
            {}, {}, {}, addresses_held=0, addresses_resting=0
        )
        for name in ("h1", "h2"):
            await core.commit(register(name))
        beat = Heartbeat(epoch="life1", conditions={"uplink lost": "eth0 and eth1 of bond0"})
        await core.commit(HeartbeatHost(caller=ADMIN, host="h1", heartbeat=beat))
        segment = Segment(network_type=NetworkType.FLAT, physical_network="physnet1")
        network = NetworkDraft(id="n", project_id="p", segment=segment)
        await core.commit(CreateNetworks(caller=ADMIN, drafts=(network,)))
        subnet = SubnetDraft(
            id="s", project_id="p", network_id="n", cidr="10.0.0.0/24", ip_version=4
        )
        await core.commit(CreateSubnets(caller=ADMIN, drafts=(subnet,)))
        drafts = tuple(
            PortDraft(id=f"p{n}", project_id="p", network_id="n", host="h2" if n < 2 else "")
            for n in range(5)
        )
        await core.commit(CreatePorts(caller=ADMIN, drafts=drafts))
        await core.commit(DeletePorts(caller=ADMIN, ids=("p0", "p1")))
        await core.commit(FenceHost(caller=ADMIN, host="h2", reason="burnt"))  # proves them gone
        counted = await core.reader.census()
    finally:
        await core.close()
    assert counted == census(
        {"up": 1, "fenced": 1},
        {"ALLOCATED": 3},
        {"uplink lost": 1, "fenced": 1},
        addresses_held=3,
        addresses_resting=2,
    )


def test_kinds_of_conditions_are_bounded() -> None:
    many = {f"c{n}": 1 for n in range(CONDITIONS_MAX)} | {"redundancy lost": 3}
    kept = census({}, {}, many, addresses_held=0, addresses_resting=0).host_conditions
    assert len(kept) == CONDITIONS_MAX
    assert kept["redundancy lost"] == 3


async def test_it_is_taken_when_it_is_asked_for_and_old() -> None:
    taken, now = 0, 100.0

    async def take() -> Census:
        nonlocal taken
        taken += 1
        if taken == 3:
            raise Unavailable("the database is locked")
        return Census(addresses_held=taken)

    kept = CensusKept(take, lambda: now)
    counts = []
    for _ in range(3):
        counts += [await kept.census(), await kept.census()]
        now += COUNTED_EVERY_S
    assert counts == [*[Census(addresses_held=1)] * 2, *[Census(addresses_held=2)] * 2, None, None]


@pytest.mark.parametrize("is_down", [False, True])
async def test_metrics_have_it_while_the_database_answers(*, is_down: bool) -> None:
    service = ServiceDouble()
    service.failure = Unavailable("the database is locked") if is_down else None
    edge = Edge(service, TokenAuthenticator("secret", b"agents"), Metrics(), body_bytes_max=1)
    reply = await Client(application(edge)).get("/metrics")
    assert reply.status == 200
    lines = reply.body.decode().splitlines()
    expected = {
        'netwright_hosts{state="up"} 2.0',
        'netwright_hosts{state="unknown"} 0.0',
        'netwright_ports{state="ACTIVE"} 7.0',
        'netwright_ports{state="ERROR"} 0.0',
        'netwright_addresses{state="resting"} 1.0',
    }
    assert expected & set(lines) == (set() if is_down else expected)
    assert not any("_created" in line for line in lines)
