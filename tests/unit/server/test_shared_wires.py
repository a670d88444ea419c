"""QoS policies and trunks of servers that share one PostgreSQL: races, made to happen."""

import asyncio

import pytest
from tests.doubles.postgres import Postgres
from tests.unit.server.test_shared_database import ADMIN, WAIT_S, opened, port
from tests.unit.server.test_shared_pools import raced

from netwright.model.qos import QosPolicy
from netwright.model.qos_errors import (
    QoSPolicyDefaultAlreadyExists,
    QosPolicyInUse,
    QosPolicyNotFound,
)
from netwright.model.trunk_errors import ParentPortInUse, TrunkPortInUse
from netwright.model.trunks import Trunk
from netwright.server.commands import DeletePorts, PortChange, UpdateNetwork, UpdatePorts
from netwright.server.core import Core
from netwright.server.qos.commands import CreateQosPolicies, DeleteQosPolicy, QosPolicyDraft
from netwright.server.trunks.commands import CreateTrunks, SubPortWish, TrunkDraft


@pytest.fixture
def url(postgres_server: Postgres) -> str:
    return postgres_server.new_database()


def policy(id_: str, *, is_default: bool = False) -> CreateQosPolicies:
    draft = QosPolicyDraft(id=id_, project_id="p", is_default=is_default)
    return CreateQosPolicies(caller=ADMIN, drafts=(draft,))


def trunk(id_: str, parent: str, *subports: str) -> CreateTrunks:
    wishes = tuple(SubPortWish(port_id=each, segmentation_id=7) for each in subports)
    draft = TrunkDraft(id=id_, project_id="p", port_id=parent, sub_ports=wishes)
    return CreateTrunks(caller=ADMIN, drafts=(draft,))


def gone(id_: str) -> DeleteQosPolicy:
    return DeleteQosPolicy(caller=ADMIN, id=id_)


USES = (
    UpdatePorts(caller=ADMIN, changes=(PortChange(id="vm", qos_policy_id="gold"),)),
    UpdateNetwork(caller=ADMIN, id="net", qos_policy_id="gold"),
    port("new", qos_policy_id="gold"),
)


@pytest.mark.parametrize("use", USES, ids=["port", "network", "new port"])
async def test_a_policy_does_not_go_from_what_gets_it(url: str, use: UpdatePorts) -> None:
    async with opened(url, 2) as (a, b), asyncio.timeout(WAIT_S):
        await a.commit(port("vm"))
        await a.commit(policy("gold"))
        mine, theirs = await raced(a, gone("gold"), b, use)
        assert isinstance(mine, QosPolicyInUse)
        assert isinstance(theirs, tuple)


async def test_nothing_gets_a_policy_that_goes(url: str) -> None:
    async with opened(url, 2) as (a, b), asyncio.timeout(WAIT_S):
        await a.commit(port("vm"))
        await a.commit(policy("gold"))
        mine, theirs = await raced(a, USES[0], b, gone("gold"))
        assert isinstance(mine, QosPolicyNotFound)
        assert theirs == ()


async def test_a_project_has_one_default_policy(url: str) -> None:
    async with opened(url, 2) as (a, b), asyncio.timeout(WAIT_S):
        mine, theirs = await raced(
            a, policy("one", is_default=True), b, policy("two", is_default=True)
        )
        assert isinstance(mine, QoSPolicyDefaultAlreadyExists)
        assert isinstance(theirs, tuple)
        assert await defaults(b) == {"two"}


async def defaults(core: Core) -> set[str]:
    found = [await core.reader.one(QosPolicy, id_) for id_ in ("one", "two")]
    return {one.id for one in found if one is not None and one.is_default}


async def test_a_port_is_in_one_trunk(url: str) -> None:
    async with opened(url, 2) as (a, b), asyncio.timeout(WAIT_S):
        for name in ("p1", "p2", "sub"):
            await a.commit(port(name))
        mine, theirs = await raced(a, trunk("t1", "p1", "sub"), b, trunk("t2", "p2", "sub"))
        assert isinstance(mine, TrunkPortInUse)
        assert isinstance(theirs, tuple)
        mine, theirs = await raced(a, trunk("t3", "p1"), b, trunk("t4", "p1"))
        assert isinstance(mine, ParentPortInUse)
        found = await b.reader.one(Trunk, "t4")
        assert found is not None
        assert found.port_id == "p1"


async def test_a_port_that_goes_gets_no_trunk(url: str) -> None:
    async with opened(url, 2) as (a, b), asyncio.timeout(WAIT_S):
        await a.commit(port("p1"))
        deleted = DeletePorts(caller=ADMIN, ids=("p1",))
        mine, theirs = await raced(a, trunk("t1", "p1"), b, deleted)
        assert not isinstance(mine, tuple)
        assert theirs == ()
        assert await b.reader.one(Trunk, "t1") is None
