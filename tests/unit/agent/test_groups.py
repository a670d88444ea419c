"""The loop with security groups, in virtual time: what is asked for, waited for, and told."""

import asyncio
from collections.abc import Mapping

import msgspec
from tests.doubles.server import ServerDouble
from tests.doubles.values import binding, network, port
from tests.doubles.wiring import WiringDouble
from tests.unit.agent.test_agent import running, server_with, simulated, state_of

from netwright.agent.desired import desired
from netwright.agent.group_watches import WATCHES_MAX
from netwright.agent.groups import KnownGroups
from netwright.agent.members import address_key, bucket_of
from netwright.agent.ovs.rules import port_filter
from netwright.model.security import Direction, GroupMember, SecurityGroup, SecurityGroupRule
from netwright.model.states import BindingState


def group(name: str, *remotes: str) -> SecurityGroup:
    rules = tuple(
        SecurityGroupRule(
            id=f"{name}-{number}",
            direction=Direction.INGRESS,
            ethertype="IPv4",
            remote_group_id=remote or None,
        )
        for number, remote in enumerate(remotes)
    )
    return SecurityGroup(id=name, project_id="p", rules=rules)


def member(group_id: str, port_id: str, *addresses: str) -> GroupMember:
    return GroupMember(group_id=group_id, port_id=port_id, addresses=addresses)


def groups_at(wiring: WiringDouble, address: str) -> tuple[str, ...]:
    key = address_key(address)
    return wiring.memberships[bucket_of(key)].get(key, ())


def wired_groups(wiring: WiringDouble, port_id: str) -> list[str] | None:
    groups = wiring.standing[port_id].endpoint.security_groups
    return None if groups is None else [one.id for one in groups]


def serving(*ports: str, **groups: tuple[str, ...]) -> ServerDouble:
    """Ports in the groups of the same number, say p1 in g1; `groups` name their remote ones."""
    server = server_with(*(port(one, security_groups=(f"g{one[1:]}",)) for one in ports))
    for name, remotes in groups.items():
        server.put_group(group(name, *remotes))
    return server


@simulated
async def test_a_port_comes_up_when_its_groups_and_their_members_are_known() -> None:
    server, wiring = serving("p1", g2=()), WiringDouble()
    wiring.plug("p1")
    server.put_group(group("g1", "g2"), member("g2", "x", "10.0.0.9"))
    async with running(server, wiring):
        await asyncio.sleep(1)
        assert state_of(server, "p1") is BindingState.UP
        assert wired_groups(wiring, "p1") == ["g1"]
        assert groups_at(wiring, "10.0.0.9") == ("g2",)
    assert server.group_watches == [("g1",), ("g2",)]
    assert server.member_watches == [("g2",)]


@simulated
async def test_a_port_that_is_not_filtered_asks_for_nothing() -> None:
    server = server_with(
        port("old"), port("free", security_groups=("g1",), port_security_enabled=False)
    )
    wiring = WiringDouble()
    for one in ("old", "free"):
        wiring.plug(one)
    async with running(server, wiring):
        await asyncio.sleep(1)
        assert wired_groups(wiring, "old") is None
        assert wired_groups(wiring, "free") is None
    assert server.group_watches == []


@simulated
async def test_a_group_that_is_gone_lets_nothing_through_and_holds_nobody_up() -> None:
    server, wiring = serving("p1"), WiringDouble()
    wiring.plug("p1")
    async with running(server, wiring):
        await asyncio.sleep(1)
        assert state_of(server, "p1") is BindingState.UP
        assert wired_groups(wiring, "p1") == []


@simulated
async def test_rules_and_members_reach_the_data_plane_as_they_change() -> None:
    server, wiring = serving("p1", g1=("g1",)), WiringDouble()
    wiring.plug("p1")
    joins = member("g1", "x", "10.0.0.9", "10.1.0.0/24")
    async with running(server, wiring):
        await asyncio.sleep(1)
        server.put_group(joins)
        await asyncio.sleep(0.01)
        assert groups_at(wiring, "10.0.0.9") == groups_at(wiring, "10.1.0.0/24") == ("g1",)
        server.drop_group(joins)
        await asyncio.sleep(0.01)
        assert groups_at(wiring, "10.0.0.9") == ()
        applied = wiring.applied
        server.put_group(group("g1", ""))
        await asyncio.sleep(0.01)
        assert wiring.applied == applied + 1
        (changed,) = wiring.standing["p1"].endpoint.security_groups or ()
        assert changed == group("g1", "")
    assert server.group_watches == [("g1",)]


@simulated
async def test_who_joins_a_group_that_no_rule_names_changes_nothing() -> None:
    server, wiring = serving("p1", g1=("",)), WiringDouble()
    wiring.plug("p1")
    async with running(server, wiring):
        await asyncio.sleep(1)
        applied = wiring.applied
        server.put_group(member("g1", "x", "10.0.0.9"))
        await asyncio.sleep(0.01)
        assert wiring.applied == applied
        assert groups_at(wiring, "10.0.0.9") == ()
        assert server.member_watches == []
        server.put_group(group("g1", "g1"))  # now one does
        await asyncio.sleep(0.01)
        assert groups_at(wiring, "10.0.0.9") == ("g1",)
    assert server.group_watches == server.member_watches == [("g1",)]


@simulated
async def test_many_sets_of_groups_become_one_watch_and_nothing_is_lost_on_the_way() -> None:
    count = WATCHES_MAX // 2 + 2
    server, wiring = serving(), WiringDouble()
    async with running(server, wiring):
        for number in range(count):
            name = f"g{number}"
            server.put_group(group(name, name), member(name, "x", f"10.0.0.{number}"))
            server.put(port(f"p{number}", security_groups=(name,)))
            server.bind(f"p{number}", "h1")
            wiring.plug(f"p{number}")
            await asyncio.sleep(1)
            held = [groups_at(wiring, f"10.0.0.{n}") for n in range(number + 1)]
            assert held == [(f"g{n}",) for n in range(number + 1)]
        everything = tuple(sorted(f"g{number}" for number in range(WATCHES_MAX // 2 + 1)))
        assert everything in server.group_watches
        assert len(server.group_watches) == count + 1, "each group once, and all once"
        server.put_group(member("g3", "y", "10.0.0.33"))
        await asyncio.sleep(0.01)
        assert groups_at(wiring, "10.0.0.33") == ("g3",)
    assert all(state_of(server, f"p{n}") is BindingState.UP for n in range(count))


@simulated
async def test_a_watch_that_is_refused_for_a_group_that_left_is_replaced() -> None:
    server, wiring = serving("p1", "p2", g1=("g1",), g2=("g2",)), WiringDouble()
    for one in ("p1", "p2"):
        wiring.plug(one)
    server.put_group(member("g2", "x", "10.0.0.9"))
    async with running(server, wiring):
        await asyncio.sleep(1)
        assert server.group_watches == [("g1", "g2")]
        server.delete("p1")
        server.denied_groups = frozenset({"g1"})
        await asyncio.sleep(20)
        assert server.group_watches[-1] == ("g2",)
        assert state_of(server, "p2") is BindingState.UP
        assert groups_at(wiring, "10.0.0.9") == ("g2",)
        asked = len(server.group_watches)
        await asyncio.sleep(60)
        assert len(server.group_watches) == asked


@simulated
async def test_what_stands_is_kept_until_the_groups_are_known_again() -> None:
    removed: list[str] = []
    wiring = WiringDouble(removed=lambda port_id, _: removed.append(port_id))
    server = serving("p1", g1=("g1",))
    wiring.plug("p1")
    async with running(server, wiring):
        await asyncio.sleep(1)
    made = wiring.standing["p1"]
    server.denied_groups = frozenset({"g1"})
    async with running(server, wiring):
        await asyncio.sleep(30)
        assert wiring.standing["p1"] is made
        server.denied_groups = frozenset()
        await asyncio.sleep(20)
    assert wiring.standing["p1"] is made
    assert removed == []


def test_a_port_waits_and_says_for_what() -> None:
    ports = {"p": port("p", binding(), security_groups=("g1", "g2"))}
    networks = {"net-1": network()}

    def wanted(known: KnownGroups) -> Mapping[str, str]:
        return desired("h1", ["physnet1"], ports, networks, known).waiting

    assert wanted(KnownGroups()) == {"p": "security group g1 has not come from the server yet"}
    both = KnownGroups(
        groups={"g1": group("g1", "far"), "g2": group("g2")}, synced=frozenset({"g1", "g2"})
    )
    why = "the members of security group far have not come from the server yet"
    assert wanted(both) == {"p": why}
    assert desired("h1", ["physnet1"], ports, networks, both).groups == {"g1", "g2", "far"}
    assert desired("h1", ["physnet1"], ports, networks, both).remote_groups == {"far"}
    told = msgspec.structs.replace(both, synced=frozenset({"g1", "g2", "far"}))
    assert wanted(told) == {"p": why}
    assert wanted(msgspec.structs.replace(told, members_of=frozenset({"far"}))) == {}


def test_members_are_not_asked_for_where_everything_is_allowed() -> None:
    """As OVS plans it, which then names no remote group either."""
    everything = [
        SecurityGroupRule(id=f"{direction}", direction=direction, ethertype="IPv4")
        for direction in Direction
    ]
    named = [
        SecurityGroupRule(
            id=ethertype, direction=Direction.INGRESS, ethertype=ethertype, remote_group_id=remote
        )
        for ethertype, remote in (("IPv4", "four"), ("IPv6", "six"))
    ]
    made = SecurityGroup(id="g1", project_id="p", rules=(*everything, *named))
    known = KnownGroups(groups={"g1": made}, synced=frozenset({"g1"}))
    ports = {"p": port("p", binding(), security_groups=("g1",))}
    wanted = desired("h1", ["physnet1"], ports, {"net-1": network()}, known)
    assert wanted.groups == {"g1", "six"}
    sets = port_filter([made]).filter.address_sets
    assert {one.group for one in sets} == {"six"}
