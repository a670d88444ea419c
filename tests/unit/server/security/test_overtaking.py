"""Which events of groups, by other processes, concern what a batch was decided on."""

from typing import Any

import pytest
from msgspec import json
from msgspec.structs import replace
from tests.doubles.values import port

from netwright.ipam.ledger import Ledger
from netwright.model.security import Direction, GroupMember, SecurityGroup, SecurityGroupRule
from netwright.model.wire import Kind
from netwright.server.needs import Needs
from netwright.server.overtaking import is_outdated
from netwright.server.store.event_rows import EventRow
from netwright.server.world import World

GROUP = SecurityGroup(id="web", project_id="p", name="web")
DEFAULT = SecurityGroup(id="default", project_id="p", is_default=True)
NAMING = SecurityGroupRule(
    id="r", direction=Direction.INGRESS, ethertype="IPv4", remote_group_id="db"
)


@pytest.fixture
def world() -> World:
    """Two groups that ports name were read: whose they are, and that one is p's default group."""
    world = World(0.0, Ledger("test"))
    world.group_projects.load("web", "p")
    world.group_projects.load("default", "p")
    world.default_groups.load("p", "default")
    return world


def outdated(world: World, group: SecurityGroup | str, **needs: Any) -> bool:
    id_, body = (group, None) if isinstance(group, str) else (group.id, json.encode(group))
    event = EventRow(1, Kind.SECURITY_GROUP, id_, frozenset(), frozenset(), body)
    return is_outdated(world, Needs(**needs), [event])


def test_a_group_that_has_gone_concerns_those_whose_ports_name_it(world: World) -> None:
    assert outdated(world, "web", groups={"web"})
    assert outdated(world, "default", default_groups={"p"})
    assert not outdated(world, "other", groups={"web"})


def test_a_change_of_its_rules_does_not(world: World) -> None:
    assert not outdated(world, replace(GROUP, rules=(NAMING,)), groups={"web"})
    assert not outdated(world, replace(DEFAULT, rules=(NAMING,)), default_groups={"p"})


def test_but_it_concerns_who_changes_the_group(world: World) -> None:
    world.of(SecurityGroup).load("web", GROUP)
    assert outdated(world, replace(GROUP, rules=(NAMING,)))
    assert not outdated(world, GROUP)


def test_what_was_missed_and_has_come_concerns(world: World) -> None:
    assert outdated(world, replace(GROUP, id="new"), groups={"new"})
    assert outdated(world, replace(GROUP, id="new"), plain=_needing("new"))
    assert not outdated(world, replace(GROUP, id="new"), groups={"web"})


def test_a_default_group_concerns_its_project_alone(world: World) -> None:
    new = replace(DEFAULT, id="new", project_id="q")
    assert outdated(world, new, default_groups={"q"})
    assert not outdated(world, new, default_groups={"r"})
    assert not outdated(world, DEFAULT, default_groups={"p"})


def test_a_rule_that_names_what_is_to_go_concerns(world: World) -> None:
    assert outdated(world, replace(GROUP, rules=(NAMING,)), deleted_groups={"db"})
    assert not outdated(world, replace(GROUP, rules=(NAMING,)), deleted_groups={"other"})


def test_a_port_that_enters_a_group_concerns_who_counts_its_ports(world: World) -> None:
    entered = replace(port("a", network_id="net"), security_groups=("web",))
    event = EventRow(1, Kind.PORT, "a", frozenset(), frozenset(), json.encode(entered))
    assert is_outdated(world, Needs(used_groups={"web"}), [event])
    assert not is_outdated(world, Needs(used_groups={"db"}), [event])


def test_a_member_concerns_nobody(world: World) -> None:
    member = json.encode(GroupMember(group_id="web", port_id="a", addresses=()))
    event = EventRow(1, Kind.GROUP_MEMBER, "a@web", frozenset(), frozenset(), member)
    assert not is_outdated(world, Needs(groups={"web"}, used_groups={"web"}), [event])


def _needing(group_id: str) -> Any:
    needs = Needs()
    needs.plain[SecurityGroup].add(group_id)
    return needs.plain
