"""All kinds of commands at once, in one server and in two: what each was tested for alone.

Whatever is asked, in whatever batches: no defect, rows that agree with one another, events that
tell what is stored, and processes that remember nothing else.
"""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.doubles.asking import HOSTS, NETWORKS, Asking
from tests.doubles.postgres import Postgres
from tests.unit.server.test_shared_database import ADMIN, REGISTRATION, network, opened, subnet

from netwright.model.addressing import SubnetPool
from netwright.model.errors import InternalError, NetwrightError, Unavailable
from netwright.model.operations import Action, Operation
from netwright.model.quotas import Quota
from netwright.model.resources import Host, Network, Port, Subnet
from netwright.model.routing import FloatingIp, Router
from netwright.model.security import GroupMember, SecurityGroup
from netwright.model.wire import Kind
from netwright.server.addressing_commands import (
    AddressScopeDraft,
    CreateAddressScopes,
)
from netwright.server.api.ids import new_id
from netwright.server.commands import (
    Command,
    CreatePorts,
    RegisterHost,
    UpdateNetwork,
    UpdatePorts,
)
from netwright.server.core import Core
from netwright.server.security.commands import CreateSecurityGroups
from netwright.server.security.members import id_of, members
from netwright.server.store.checking import check
from netwright.server.store.group_pictures import all_members

ROUNDS, AT_ONCE = 14, 12


async def values(core: Core, table: str, type_: type[Any]) -> list[Any]:
    rows = await core._database.read(lambda tx: tx.rows(f"SELECT body FROM {table}"))
    return [msgspec.json.decode(body, type=type_) for (body,) in rows]


async def learn(core: Core, asking: Asking) -> None:
    asking.ports = await values(core, "port", Port)
    asking.groups = await values(core, "security_group", SecurityGroup)
    asking.subnets = await values(core, "subnet", Subnet)
    asking.pools = await values(core, "subnetpool", SubnetPool)
    asking.routers = await values(core, "router", Router)
    asking.floating = await values(core, "floatingip", FloatingIp)


async def require_told(core: Core) -> None:
    """The last event of each thing says what is stored of it."""
    rows = await core._database.read(
        lambda tx: tx.rows("SELECT kind, id, body FROM event ORDER BY seq")
    )
    told = {(kind, id_): body for kind, id_, body in rows}
    kept = {key: msgspec.json.decode(body) for key, body in told.items() if body is not None}
    tables = {
        Kind.NETWORK: "network", Kind.SUBNET: "subnet", Kind.PORT: "port",
        Kind.SECURITY_GROUP: "security_group", Kind.QUOTA: "quota", Kind.ROUTER: "router",
        Kind.SUBNET_POOL: "subnetpool", Kind.ADDRESS_SCOPE: "address_scope",
        Kind.FLOATING_IP: "floatingip",
    }  # fmt: skip
    for kind, table in tables.items():
        there = {value["id"]: value for value in await values(core, table, dict)}
        assert {id_: v for (of, id_), v in kept.items() if of == kind} == there, kind
    expected: dict[str, GroupMember] = {}
    for port in await values(core, "port", Port):
        for group_id, member in members(port).items():
            expected[id_of(port.id, group_id)] = member
    found = {
        id_: msgspec.json.decode(told[of, id_], type=GroupMember)
        for of, id_ in kept
        if of == Kind.GROUP_MEMBER
    }
    assert found == expected
    pictured = await core._database.read(all_members)
    assert {id_: msgspec.json.decode(body, type=GroupMember) for _, id_, body in pictured} == found


async def require_remembered(core: Core) -> None:
    """What the process remembers is what is stored."""
    memory = core._decider._memory
    await core._database.read(memory.catch_up)
    networks = {each.id: each for each in await values(core, "network", Network)}
    subnets = await values(core, "subnet", Subnet)
    for network_id, (kept, of_it) in memory.networks.items():
        assert kept == networks[network_id]
        assert {each.id: each for each in of_it} == {
            each.id: each for each in subnets if each.network_id == network_id
        }
    hosts = {each.name: each for each in await values(core, "host", Host)}
    assert all(hosts[name] == host for name, host in memory.hosts.items())
    groups = {each.id: each for each in await values(core, "security_group", SecurityGroup)}
    for group_id, project_id in memory.group_projects.items():
        assert groups[group_id].project_id == project_id
    for project_id, group_id in memory.default_groups.items():
        assert (groups[group_id].project_id, groups[group_id].is_default) == (project_id, True)
    quotas = {each.id: each for each in await values(core, "quota", Quota)}
    for project_id, quota in memory.quotas.items():
        assert quotas.get(project_id) == quota
    sql = "SELECT project_id, resource, used FROM quota_usage"
    usage = {(p, r): used for p, r, used in await core._database.read(lambda tx: tx.rows(sql))}
    for project_id, used in memory.usage.items():
        for resource, number in used.items():
            assert usage[project_id, resource] == number


async def asked(core: Core, command: Command, way: int) -> Any:
    """What becomes of it: at once, or later, all or none or each by itself."""
    if way == 0 or not isinstance(command, CreatePorts | UpdatePorts | CreateSecurityGroups):
        return await core.commit(command)
    action = Action.UPDATE if isinstance(command, UpdatePorts) else Action.CREATE
    operation = Operation(id=new_id(), project_id="p", collection="ports", action=action,
                          many=True, lenient=way == 1)  # fmt: skip
    await core.defer(ADMIN, operation, (command,))
    ended = await core.operation(operation.id, 60)
    assert ended is not None and ended.state.is_final  # noqa: PT018 - for mypy
    failures = [ended.failure, *(each.failure for each in ended.outcomes)]
    assert not any(each and each.type == "InternalServerError" for each in failures), failures
    return ended


async def prepared(core: Core) -> None:
    for n, name in enumerate(NETWORKS):
        await core.commit(network(name, 200 + n))
        await core.commit(subnet(f"sub{n}", name, f"10.{n}.0.0/27"))
        await core.commit(UpdateNetwork(caller=ADMIN, id=name, labels={"site": "a"}))
    await core.commit(network("six0", 300))
    await core.commit(network("out", 302))
    await core.commit(subnet("outer", "out", "203.0.113.0/27"))
    await core.commit(UpdateNetwork(caller=ADMIN, id="out", external=True))
    await core.commit(network("six1", 301))
    scope = AddressScopeDraft(id="scope", project_id="p", ip_version=6, shared=True)
    await core.commit(CreateAddressScopes(caller=ADMIN, drafts=(scope,)))
    for host in HOSTS:
        await core.commit(RegisterHost(caller=ADMIN, host=host, registration=REGISTRATION))


async def at_once(cores: Sequence[Core], url: str, seed: int) -> None:
    asking, first = Asking(seed), cores[0]
    await prepared(first)
    for _ in range(ROUNDS):
        await learn(first, asking)
        commands = [(core, asking.next(), n % 3) for core in cores for n in range(AT_ONCE)]
        outcomes = await asyncio.gather(
            *(asked(*each) for each in commands), return_exceptions=True
        )
        for (_, command, _), outcome in zip(commands, outcomes, strict=True):
            if isinstance(outcome, BaseException):
                assert isinstance(outcome, NetwrightError), (command, outcome)
                assert not isinstance(outcome, InternalError | Unavailable), (command, outcome)
    if url.startswith("postgresql"):
        assert (await check(url)).wrong == []
    await require_told(first)
    for core in cores:
        await require_remembered(core)


@pytest.mark.parametrize("seed", range(2))
async def test_in_two_servers(postgres_server: Postgres, seed: int) -> None:
    url = postgres_server.new_database()
    async with opened(url, 2) as cores, asyncio.timeout(120):
        await at_once(cores, url, seed)


async def test_in_one(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/netwright.db"
    async with opened(url, 1) as cores, asyncio.timeout(120):
        await at_once(cores, url, 0)
    assert (await check(url)).wrong == []
