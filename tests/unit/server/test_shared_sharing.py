"""Processes that share a database and decide at once about what is shared, and who uses it."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from tests.doubles.postgres import Postgres
from tests.unit.server.test_shared_database import ADMIN, WAIT_S, opened, outcome, port
from tests.unit.server.test_shared_races import held_before_its_turn

from netwright.model.errors import NetworkNotFound, SecurityGroupNotFound
from netwright.model.qos_errors import QosPolicyNotFound
from netwright.model.resources import ShareAction
from netwright.model.security import AddressGroup, Direction, SecurityGroupRule
from netwright.model.security_errors import AddressGroupInUse, AddressGroupNotFound
from netwright.model.sharing import ObjectType, RbacPolicy
from netwright.model.sharing_errors import DuplicateRbacPolicy, RbacPolicyInUse
from netwright.server.commands import Caller, Command, CreatePorts, PortDraft
from netwright.server.core import Core
from netwright.server.qos.commands import CreateQosPolicies, QosPolicyDraft
from netwright.server.queries import Query
from netwright.server.security.commands import (
    AddressGroupDraft,
    AddSecurityGroupRules,
    CreateAddressGroups,
    CreateSecurityGroups,
    DeleteAddressGroup,
    SecurityGroupDraft,
)
from netwright.server.sharing.commands import (
    CreateRbacPolicies,
    DeleteRbacPolicy,
    RbacPolicyDraft,
)

Pair = tuple[Core, Core]
FRIEND = Caller(project_id="friend")


@pytest.fixture
async def pair(postgres_server: Postgres) -> AsyncIterator[Pair]:
    """Two servers on one database; what is in it is shared with `friend`."""
    url = postgres_server.new_database()
    async with opened(url, 2) as (one, two), asyncio.timeout(WAIT_S):
        await one.commit(port("a"))
        draft = SecurityGroupDraft(id="web", project_id="p", name="web")
        await one.commit(CreateSecurityGroups(caller=ADMIN, drafts=(draft,)))
        addresses = AddressGroupDraft(id="near", project_id="p", addresses=("10.0.0.0/8",))
        await one.commit(CreateAddressGroups(caller=ADMIN, drafts=(addresses,)))
        await one.commit(share("net"))
        await one.commit(share("web", ObjectType.SECURITY_GROUP))
        await one.commit(share("near", ObjectType.ADDRESS_GROUP))
        limits = QosPolicyDraft(id="slow", project_id="p")
        await one.commit(CreateQosPolicies(caller=ADMIN, drafts=(limits,)))
        await one.commit(share("slow", ObjectType.QOS_POLICY))
        await one.commit(taking("warm"))  # the other process remembers what it has read
        yield one, two


def share(
    object_id: str, type_: ObjectType = ObjectType.NETWORK, target: str = "friend", id_: str = ""
) -> CreateRbacPolicies:
    draft = RbacPolicyDraft(
        id=id_ or f"share-{object_id}",
        project_id="p",
        object_type=type_,
        object_id=object_id,
        action=ShareAction.AS_SHARED,
        target=target,
    )
    return CreateRbacPolicies(caller=ADMIN, drafts=(draft,))


def unshare(object_id: str) -> DeleteRbacPolicy:
    return DeleteRbacPolicy(caller=ADMIN, id=f"share-{object_id}")


def taking(
    port_id: str, *groups: str, network: str = "net", policy: str | None = None
) -> CreatePorts:
    caller = FRIEND if port_id != "warm" else ADMIN
    project_id = "friend" if port_id != "warm" else "p"
    draft = PortDraft(
        id=port_id,
        project_id=project_id,
        network_id=network,
        security_groups=groups,
        qos_policy_id=policy,
    )
    return CreatePorts(caller=caller, drafts=(draft,))


def naming() -> AddSecurityGroupRules:
    rule = SecurityGroupRule(
        id="r",
        direction=Direction.INGRESS,
        ethertype="IPv4",
        remote_group_id="near",
        remote_is_addresses=True,
    )
    return AddSecurityGroupRules(caller=ADMIN, group_id="web", rules=(rule,))


async def raced(pair: Pair, held: Command, faster: Command) -> tuple[Any, Any]:
    """The outcomes of a command that was decided, and of one that was written before it."""
    one, two = pair
    async with held_before_its_turn(one) as reached:
        slow = asyncio.create_task(outcome(one, held))
        await reached.wait()
        fast = await outcome(two, faster)
    return await slow, fast


async def test_nobody_takes_a_port_in_a_network_that_is_shared_no_more(pair: Pair) -> None:
    slow, fast = await raced(pair, taking("n"), unshare("net"))
    assert isinstance(slow, NetworkNotFound)
    assert fast == ()


async def test_a_network_in_which_a_port_was_made_meanwhile_stays_shared(pair: Pair) -> None:
    slow, fast = await raced(pair, unshare("net"), taking("n"))
    assert isinstance(slow, RbacPolicyInUse)
    assert isinstance(fast, tuple)


async def test_no_port_enters_a_group_that_is_shared_no_more(pair: Pair) -> None:
    slow, fast = await raced(pair, taking("n", "web"), unshare("web"))
    assert isinstance(slow, SecurityGroupNotFound)
    assert fast == ()


async def test_a_group_that_a_port_entered_meanwhile_stays_shared(pair: Pair) -> None:
    slow, fast = await raced(pair, unshare("web"), taking("n", "web"))
    assert isinstance(slow, RbacPolicyInUse)
    assert isinstance(fast, tuple)


async def test_no_port_has_a_qos_policy_that_is_shared_no_more(pair: Pair) -> None:
    slow, fast = await raced(pair, taking("n", policy="slow"), unshare("slow"))
    assert isinstance(slow, QosPolicyNotFound)
    assert fast == ()


async def test_a_qos_policy_that_a_port_got_meanwhile_stays_shared(pair: Pair) -> None:
    slow, fast = await raced(pair, unshare("slow"), taking("n", policy="slow"))
    assert isinstance(slow, RbacPolicyInUse)
    assert isinstance(fast, tuple)


async def test_a_policy_is_made_once(pair: Pair) -> None:
    twice = [share("net", target="other", id_=id_) for id_ in ("one", "two")]
    slow, fast = await raced(pair, *twice)
    assert isinstance(slow, DuplicateRbacPolicy)
    assert isinstance(fast, tuple)
    found: Any = await pair[0].reader.many(RbacPolicy, Query())
    assert {each.id for each in found} == {
        "share-near",
        "share-net",
        "share-slow",
        "share-web",
        "two",
    }


async def test_a_rule_names_no_address_group_that_has_gone(pair: Pair) -> None:
    slow, fast = await raced(pair, naming(), DeleteAddressGroup(caller=ADMIN, id="near"))
    assert isinstance(slow, AddressGroupNotFound)
    assert fast == ()


async def test_an_address_group_that_a_rule_came_to_name_stays(pair: Pair) -> None:
    slow, fast = await raced(pair, DeleteAddressGroup(caller=ADMIN, id="near"), naming())
    assert isinstance(slow, AddressGroupInUse)
    assert isinstance(fast, tuple)
    assert await pair[0].reader.one(AddressGroup, "near") is not None
