"""Processes that share a database and decide about groups at once: held before their turn.

Each of the pairs would, undecided anew, leave a port in a group that is not there, a rule that
names one, or two default groups.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from tests.doubles.postgres import Postgres
from tests.unit.server.test_shared_database import ADMIN, WAIT_S, opened, outcome, port
from tests.unit.server.test_shared_races import held_before_its_turn

from netwright.model.errors import SecurityGroupNotFound
from netwright.model.resources import Port
from netwright.model.security import Direction, GroupRule, SecurityGroup, SecurityGroupRule
from netwright.model.security_errors import SecurityGroupInUse, SecurityGroupRuleExists
from netwright.server.commands import Command, CreatePorts, PortChange, PortDraft, UpdatePorts
from netwright.server.core import Core
from netwright.server.queries import Query
from netwright.server.security.commands import (
    AddSecurityGroupRules,
    CreateSecurityGroups,
    DeleteSecurityGroup,
    EnsureDefaultGroup,
    SecurityGroupDraft,
    UpdateSecurityGroup,
)

Pair = tuple[Core, Core]


@pytest.fixture
async def pair(postgres_server: Postgres) -> AsyncIterator[Pair]:
    """Two servers on one database; port `a` in the default group, groups `web` and `db`."""
    url = postgres_server.new_database()
    async with opened(url, 2) as (one, two), asyncio.timeout(WAIT_S):
        await one.commit(port("a"))
        drafts = tuple(
            SecurityGroupDraft(id=id_, project_id="p", name=id_) for id_ in ("web", "db")
        )
        await one.commit(CreateSecurityGroups(caller=ADMIN, drafts=drafts))
        yield one, two


async def raced(pair: Pair, held: Command, faster: Command) -> tuple[Any, Any]:
    """The outcomes of a command that was decided, and of one that was written before it."""
    one, two = pair
    async with held_before_its_turn(one) as reached:
        slow = asyncio.create_task(outcome(one, held))
        await reached.wait()
        fast = await outcome(two, faster)
    return await slow, fast


def rule(group_id: str, id_: str, remote: str | None = None) -> AddSecurityGroupRules:
    made = SecurityGroupRule(
        id=id_, direction=Direction.INGRESS, ethertype="IPv4", remote_group_id=remote
    )
    return AddSecurityGroupRules(caller=ADMIN, group_id=group_id, rules=(made,))


def delete(group_id: str) -> DeleteSecurityGroup:
    return DeleteSecurityGroup(caller=ADMIN, id=group_id)


def move(port_id: str, *in_groups: str) -> UpdatePorts:
    change = PortChange(id=port_id, security_groups=in_groups)
    return UpdatePorts(caller=ADMIN, changes=(change,))


def of_project(project_id: str, port_id: str) -> CreatePorts:
    draft = PortDraft(id=port_id, project_id=project_id, network_id="net")
    return CreatePorts(caller=ADMIN, drafts=(draft,))


async def every(core: Core, type_: type[Any]) -> Sequence[Any]:
    found: Sequence[Any] = await core.reader.many(type_, Query())
    return found


async def sound(core: Core) -> None:
    """Whatever ports and rules name is there; each project has one default group at most."""
    groups = {each.id: each for each in await every(core, SecurityGroup)}
    for each in await every(core, Port):
        assert set(each.security_groups) <= groups.keys()
    rules = {each.id: each for each in await every(core, GroupRule)}
    assert {each.id for group in groups.values() for each in group.rules} == rules.keys()
    for each in rules.values():
        assert each.remote_group_id in {None, *groups}
    defaults = [each.project_id for each in groups.values() if each.is_default]
    assert len(set(defaults)) == len(defaults)


@pytest.mark.parametrize("taking", [port("n", security_groups=("web",)), move("a", "web")])
async def test_a_port_does_not_enter_a_group_that_has_gone(pair: Pair, taking: Command) -> None:
    slow, fast = await raced(pair, taking, delete("web"))
    assert isinstance(slow, SecurityGroupNotFound)
    assert fast == ()
    await sound(pair[1])


@pytest.mark.parametrize("taking", [port("n", security_groups=("web",)), move("a", "web")])
async def test_a_group_that_a_port_has_entered_does_not_go(pair: Pair, taking: Command) -> None:
    slow, fast = await raced(pair, delete("web"), taking)
    assert isinstance(slow, SecurityGroupInUse)
    assert isinstance(fast, tuple)
    await sound(pair[0])


async def test_a_group_that_a_port_has_entered_stays_stateful(pair: Pair) -> None:
    stateless = UpdateSecurityGroup(caller=ADMIN, id="web", stateful=False)
    slow, _ = await raced(pair, stateless, port("n", security_groups=("web",)))
    assert isinstance(slow, SecurityGroupInUse)


async def test_a_default_group_is_made_once(pair: Pair) -> None:
    slow, fast = await raced(pair, of_project("q", "n"), of_project("q", "m"))
    assert slow[0].security_groups == fast[0].security_groups
    await sound(pair[0])
    ensure = EnsureDefaultGroup(caller=ADMIN, id="d1", project_id="r")
    other = EnsureDefaultGroup(caller=ADMIN, id="d2", project_id="r")
    slow, fast = await raced(pair, ensure, other)
    assert (slow, [each.id for each in fast]) == ((), ["d2"])
    await sound(pair[0])


async def test_a_default_group_that_was_deleted_is_made_anew_for_a_port(pair: Pair) -> None:
    one, two = pair
    (a,) = await one.commit(move("a"))
    assert a.security_groups == ()
    (default,) = [each for each in await every(one, SecurityGroup) if each.is_default]
    slow, fast = await raced(pair, port("n"), delete(default.id))
    assert fast == ()
    assert slow[0].security_groups not in {(default.id,), ()}
    await sound(two)


async def test_a_rule_is_added_once(pair: Pair) -> None:
    slow, fast = await raced(pair, rule("web", "r1"), rule("web", "r2"))
    assert isinstance(slow, SecurityGroupRuleExists)
    assert fast[0].id == "r2"
    await sound(pair[0])


async def test_no_rule_of_two_that_are_added_at_once_is_lost(pair: Pair) -> None:
    slow, fast = await raced(pair, rule("web", "r1"), rule("web", "r2", remote="web"))
    assert (slow[0].id, fast[0].id) == ("r1", "r2")
    await sound(pair[0])


async def test_a_rule_does_not_name_a_group_that_has_gone(pair: Pair) -> None:
    slow, _ = await raced(pair, rule("web", "r", remote="db"), delete("db"))
    assert isinstance(slow, SecurityGroupNotFound)
    await sound(pair[0])


async def test_a_group_takes_along_the_rule_that_has_come_to_name_it(pair: Pair) -> None:
    slow, fast = await raced(pair, delete("db"), rule("web", "r", remote="db"))
    assert (slow, fast[0].id) == ((), "r")
    await sound(pair[0])
    assert "r" not in {each.id for each in await every(pair[0], GroupRule)}


async def test_what_one_remembers_another_may_have_deleted(pair: Pair) -> None:
    """Not at once: one has read the group before, and the other deletes it since."""
    one, two = pair
    await one.commit(port("n", security_groups=("web",)))
    await one.commit(move("n"))
    await two.commit(delete("web"))
    assert isinstance(await outcome(one, move("n", "web")), SecurityGroupNotFound)


async def test_ports_and_changes_of_their_group_do_not_undo_each_other(pair: Pair) -> None:
    """A rule more in a port's group is no reason to decide the port anew; both stand."""
    slow, fast = await raced(pair, port("n", security_groups=("web",)), rule("web", "r"))
    assert isinstance(slow, tuple)
    assert isinstance(fast, tuple)
    await sound(pair[0])
