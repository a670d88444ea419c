"""Servers that share one PostgreSQL: cores of their own, as processes have them.

What several processes commit is one log for all watchers; what one has read and another changes is
decided anew; one that hangs stalls the others no longer than the database lets it.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import cycle
from typing import Any

import asyncpg
import msgspec
import pytest
from tests.doubles.postgres import Postgres
from tests.doubles.postgres import postgres as running_postgres

from netwright.db import postgres
from netwright.db.postgres import PostgresDatabase
from netwright.db.transaction import Transaction
from netwright.model.errors import NetworkNotFound, NetwrightError, SubnetInUse, Unavailable
from netwright.model.resources import Network, NetworkType, Port, Segment
from netwright.model.states import Plane
from netwright.model.wire import (
    Heartbeat,
    HostRegistration,
    Kind,
    LineType,
    Report,
    ReportBatch,
    ReportStatus,
    WatchLine,
)
from netwright.server import core as core_module
from netwright.server.commands import (
    ApplyReports,
    Caller,
    Command,
    CreateNetworks,
    CreatePorts,
    CreateSubnets,
    DeleteNetwork,
    DeletePorts,
    DeleteSubnet,
    HeartbeatHost,
    NetworkDraft,
    PortChange,
    PortDraft,
    RegisterHost,
    SubnetDraft,
    UpdatePorts,
)
from netwright.server.core import Core
from netwright.server.queries import Query

ADMIN = Caller(project_id="p", is_admin=True)
WAIT_S = 20.0
REGISTRATION = HostRegistration(
    epoch="life1", driver="ovs", physical_networks={"physnet1": "br-bond"}
)

Cores = Sequence[Core]


@pytest.fixture
def url(postgres_server: Postgres) -> str:
    return postgres_server.new_database()


@pytest.fixture
def crashing() -> Iterator[Postgres]:
    """A PostgreSQL of the test's own, which waits for the disk."""
    with running_postgres() as server:
        yield server


@asynccontextmanager
async def opened(url: str, count: int) -> AsyncIterator[Cores]:
    async with AsyncExitStack() as stack:
        cores = []
        for _ in range(count):
            core = await Core.open(url)
            stack.push_async_callback(core.close)
            await core.start()
            cores.append(core)
        await cores[0].commit(network("net", 100))
        await cores[0].commit(subnet("sub", "net", "10.0.0.0/22"))
        yield cores


def network(name: str, vlan: int) -> CreateNetworks:
    segment = Segment(
        network_type=NetworkType.VLAN, physical_network="physnet1", segmentation_id=vlan
    )
    return CreateNetworks(
        caller=ADMIN, drafts=(NetworkDraft(id=name, project_id="p", segment=segment),)
    )


def subnet(name: str, network_id: str, cidr: str) -> CreateSubnets:
    draft = SubnetDraft(id=name, project_id="p", network_id=network_id, cidr=cidr, ip_version=4)
    return CreateSubnets(caller=ADMIN, drafts=(draft,))


def port(port_id: str, **attributes: Any) -> CreatePorts:
    draft = PortDraft(id=port_id, project_id="p", network_id="net", **attributes)
    return CreatePorts(caller=ADMIN, drafts=(draft,))


async def outcome(core: Core, command: Command) -> Any:
    try:
        return await core.commit(command)
    except NetwrightError as error:
        return error


async def watched(core: Core, until: int) -> list[WatchLine]:
    """The first lines of a watch of ports, until so many ports were seen."""
    decode = msgspec.json.Decoder(WatchLine).decode
    lines: list[WatchLine] = []
    async for chunk in core.watch(after=None, kinds=frozenset({Kind.PORT}), host=None):
        lines += [decode(line) for line in chunk.splitlines()]
        if sum(line.type is LineType.PUT for line in lines) >= until:
            return lines
    return lines


async def test_watchers_of_every_process_hear_all_in_one_order(url: str) -> None:
    async with opened(url, 8) as cores, asyncio.timeout(WAIT_S * 2):
        await hear_all_in_one_order(cores, 300)


async def hear_all_in_one_order(cores: Cores, count: int) -> None:
    """Make so many ports at all of them, and look at what a watcher of each hears."""
    watching = [asyncio.create_task(watched(core, count)) for core in cores]
    makers = zip(cycle(cores), range(count), strict=False)
    await asyncio.gather(*(core.commit(port(f"p{each}")) for core, each in makers))
    heard = await asyncio.gather(*watching)
    orders = [[str(line.id) for line in lines if line.type is LineType.PUT] for lines in heard]
    assert sorted(orders[0]) == sorted(f"p{each}" for each in range(count))
    assert all(order == orders[0] for order in orders)


async def test_an_address_has_one_holder_and_none_is_lost(url: str) -> None:
    async with opened(url, 4) as cores, asyncio.timeout(WAIT_S):
        await cores[0].commit(network("small", 200))
        await cores[0].commit(subnet("tiny", "small", "10.1.0.0/28"))
        drafts = [
            PortDraft(id=f"s{each}", project_id="p", network_id="small") for each in range(20)
        ]
        made = await asyncio.gather(
            *(
                outcome(cores[n % 4], CreatePorts(caller=ADMIN, drafts=(draft,)))
                for n, draft in enumerate(drafts)
            )
        )
        addresses = [each[0].fixed_ips[0].ip_address for each in made if isinstance(each, tuple)]
        assert len(set(addresses)) == len(addresses) == 13


async def test_a_named_port_is_made_once_by_however_many_ask(url: str) -> None:
    async with opened(url, 4) as cores, asyncio.timeout(WAIT_S):
        asked = [port(f"n{each}", unique_name="db-0") for each in range(16)]
        made = await asyncio.gather(
            *(cores[n % 4].commit(command) for n, command in enumerate(asked))
        )
        assert len({each[0].id for each in made}) == 1


async def test_changes_of_one_port_by_several_processes_are_all_kept(url: str) -> None:
    async with opened(url, 4) as cores, asyncio.timeout(WAIT_S):
        (made,) = await cores[0].commit(port("a"))
        names = [f"name{each}" for each in range(24)]
        changes = [
            UpdatePorts(caller=ADMIN, changes=(PortChange(id="a", name=name),)) for name in names
        ]
        await asyncio.gather(*(cores[n % 4].commit(each) for n, each in enumerate(changes)))
        found = await cores[1].reader.port("a")
        assert found is not None
        assert found.revision_number == made.revision_number + len(names)


async def test_the_last_binding_takes_the_attachment_with_it_whoever_removes_it(url: str) -> None:
    async with opened(url, 2) as cores, asyncio.timeout(WAIT_S):
        await cores[0].commit(RegisterHost(caller=ADMIN, host="h1", registration=REGISTRATION))
        for round_ in range(10):
            names = [f"{round_}-{each}" for each in range(4)]
            await asyncio.gather(
                *(cores[n % 2].commit(port(name, host="h1")) for n, name in enumerate(names))
            )
            assert len(await cores[0].reader.attachments("net")) == 1
            await asyncio.gather(
                *(
                    cores[n % 2].commit(DeletePorts(caller=ADMIN, ids=(name,)))
                    for n, name in enumerate(names)
                )
            )
            await asyncio.gather(
                *(cores[n % 2].commit(withdrawn(name)) for n, name in enumerate(names))
            )
            assert await cores[0].reader.attachments("net") == []


async def test_what_one_process_hears_of_a_host_the_others_know(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(core_module, "_SHARE_EVERY_S", 0.05)
    beat = HeartbeatHost(caller=ADMIN, host="h1", heartbeat=Heartbeat(epoch="life1"))
    async with opened(url, 2) as cores, asyncio.timeout(WAIT_S):
        await cores[0].commit(RegisterHost(caller=ADMIN, host="h1", registration=REGISTRATION))
        (registered,) = await cores[1].reader.hosts()
        await cores[0].commit(beat)
        for _ in range(200):
            (known,) = await cores[1].reader.hosts()
            if known.heard_at > registered.heard_at:
                return
            await asyncio.sleep(0.05)
    raise AssertionError(known)


def withdrawn(port_id: str) -> ApplyReports:
    told = Report(
        plane=Plane.UNDERLAY, generation=1, status=ReportStatus.WITHDRAWN, port_id=port_id
    )
    return ApplyReports(caller=ADMIN, batch=ReportBatch(host="h1", epoch="life1", reports=(told,)))


async def test_what_is_used_by_one_process_is_not_deleted_by_another(url: str) -> None:
    async with opened(url, 2) as cores, asyncio.timeout(WAIT_S):
        for each in range(12):
            net, sub = f"n{each}", f"s{each}"
            await cores[0].commit(network(net, 300 + each))
            await cores[0].commit(subnet(sub, net, "10.2.0.0/24"))
            draft = PortDraft(id=f"p{each}", project_id="p", network_id=net)
            made, gone = await asyncio.gather(
                outcome(cores[0], CreatePorts(caller=ADMIN, drafts=(draft,))),
                outcome(cores[1], DeleteSubnet(caller=ADMIN, id=sub)),
            )
            if isinstance(made, tuple) and made[0].fixed_ips:
                assert isinstance(gone, SubnetInUse)
            made, gone = await asyncio.gather(
                outcome(
                    cores[0],
                    CreatePorts(
                        caller=ADMIN,
                        drafts=(PortDraft(id=f"q{each}", project_id="p", network_id=net),),
                    ),
                ),
                outcome(cores[1], DeleteNetwork(caller=ADMIN, id=net)),
            )
            assert isinstance(made, NetworkNotFound) or isinstance(gone, NetwrightError)
            networks = {one.id for one in await cores[0].reader.many(Network, Query())}
            ports = await cores[0].reader.many(Port, Query())
            assert all(one.network_id in networks for one in ports)


async def test_one_that_hangs_in_its_turn_stalls_the_others_for_a_bounded_time(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "IDLE_S", 1.0)
    hung = PostgresDatabase(url)
    has_turn = asyncio.Event()

    async def hang(tx: Transaction) -> None:
        await tx.take_turn()
        has_turn.set()
        await asyncio.sleep(WAIT_S * 3)  # as if it were stopped
        await tx.rows("SELECT 1")

    async with opened(url, 8) as cores, asyncio.timeout(WAIT_S * 2):
        hanging = asyncio.create_task(hung.write(hang))
        await has_turn.wait()
        await hear_all_in_one_order(cores, 300)
        assert not hanging.done()  # nobody waited for it
        hanging.cancel()
        await asyncio.gather(hanging, return_exceptions=True)
        await hung.close()


async def test_a_postgresql_that_crashes_loses_nothing_that_was_acknowledged(
    crashing: Postgres,
) -> None:
    async with opened(crashing.new_database(), 2) as cores, asyncio.timeout(WAIT_S * 3):
        acknowledged: list[str] = []
        enough = asyncio.Event()

        async def load(core: Core, name: str) -> None:
            for each in range(10_000):
                made = await outcome(core, port(f"{name}-{each}"))
                if isinstance(made, tuple):
                    acknowledged.append(made[0].id)
                    if len(acknowledged) == 50:
                        enough.set()
                else:
                    assert isinstance(made, Unavailable), made
                    return

        loads = [
            asyncio.create_task(load(core, f"{n}{each}"))
            for n, core in enumerate(cores)
            for each in range(4)
        ]
        await enough.wait()
        await asyncio.to_thread(crashing.crash)
        await asyncio.gather(*loads)
        await asyncio.to_thread(crashing.start)
        (after,) = await _once_back(cores[0], port("after"))
        ports: Sequence[Port] = await cores[1].reader.many(Port, Query())
        assert {each.id for each in ports} >= {*acknowledged, after.id}
        addresses = [ip.ip_address for each in ports for ip in each.fixed_ips]
        assert len(set(addresses)) == len(addresses)


async def _once_back(core: Core, command: Command) -> Any:
    for _ in range(200):
        made = await outcome(core, command)
        if not isinstance(made, Unavailable):
            return made
        await asyncio.sleep(0.05)
    raise AssertionError(made)


async def test_a_statement_of_ours_that_is_wrong_is_not_called_unavailable(url: str) -> None:
    database = PostgresDatabase(url)
    with pytest.raises(asyncpg.UndefinedTableError):
        await database.read(lambda tx: tx.rows("SELECT 1 FROM nothing"))
    await database.close()
