"""A port as a member of its groups: told as long as it is bound, in one event a change."""

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace
from tests.doubles.places import Place
from tests.doubles.store import ADMIN, Store, create, delete, ipv4_subnet, register, report, reports
from tests.doubles.store import update as change

from netwright.model.security import Direction, GroupMember, SecurityGroup, SecurityGroupRule
from netwright.model.security_errors import SecurityGroupInUse
from netwright.model.wire import Kind, ReportStatus
from netwright.server.commands import AddressWish, FenceHost, PairWish, Together, UnfenceHost
from netwright.server.security.commands import (
    AddSecurityGroupRules,
    CreateSecurityGroups,
    DeleteSecurityGroup,
    SecurityGroupDraft,
)


@pytest.fixture
def store(place: Place) -> Iterator[Store]:
    one = Store(place)
    one.make_network("net", 10, ipv4_subnet("net", "10.0.0.0/24"))
    one.do(register("h1"))
    one.do(register("h2"))
    drafts = tuple(SecurityGroupDraft(id=id_, project_id="p", name=id_) for id_ in ("web", "db"))
    one.do(CreateSecurityGroups(caller=ADMIN, drafts=drafts))
    one.events.clear()
    yield one
    one.close()


def told(store: Store) -> list[tuple[str, tuple[str, ...] | None]]:
    """(member, its addresses, None: gone) since this was asked last."""
    found = [
        (
            event.id,
            None if event.body is None else msgspec.json.decode(event.body, type=GroupMember),
        )
        for event in store.events
        if event.kind is Kind.GROUP_MEMBER
    ]
    store.events.clear()
    return [(id_, member.addresses if member else None) for id_, member in found]


def rows(store: Store) -> set[tuple[str, str]]:
    return {(port, group) for port, group in store.rows("SELECT port_id, group_id FROM membership")}


def make(store: Store, address: str = "10.0.0.10", **attributes: Any) -> None:
    wish = (AddressWish(ip_address=address),)
    store.do(create("a", fixed_ips=wish, security_groups=("web", "db"), **attributes))


def withdraw(store: Store, host: str) -> None:
    port = store.port("a")
    assert port is not None
    binding = port.binding_on(host)
    assert binding is not None
    gone = replace(report(port, host, ReportStatus.WITHDRAWN), generation=binding.generation)
    store.do(reports(host, gone))


def test_an_unbound_port_has_rows_and_no_events(store: Store) -> None:
    make(store)
    assert rows(store) == {("a", "web"), ("a", "db")}
    assert told(store) == []


def test_a_binding_makes_it_a_member_and_its_withdrawal_ends_that(store: Store) -> None:
    make(store)
    store.do(change("a", host="h1"))
    assert told(store) == [("a@web", ("10.0.0.10",)), ("a@db", ("10.0.0.10",))]
    port = store.port("a")
    assert port is not None
    store.do(reports("h1", report(port, "h1", ReportStatus.UP)))
    store.do(change("a", name="renamed"))
    assert told(store) == []
    store.do(change("a", host="h2"))  # bound all the while
    assert told(store) == []
    store.do(change("a", host=""))  # the instance may speak until its host has withdrawn it
    assert told(store) == []
    withdraw(store, "h1")
    assert told(store) == []
    withdraw(store, "h2")
    assert told(store) == [("a@web", None), ("a@db", None)]
    assert rows(store) == {("a", "web"), ("a", "db")}


def test_it_is_told_when_addresses_pairs_or_groups_change(store: Store) -> None:
    make(store, host="h1")
    told(store)
    pair = PairWish(ip_address="192.0.2.0/24")
    store.do(change("a", allowed_address_pairs=(pair,)))
    both = ("10.0.0.10", "192.0.2.0/24")
    assert told(store) == [("a@web", both), ("a@db", both)]
    store.do(change("a", security_groups=("web",)))
    assert told(store) == [("a@db", None)]
    assert rows(store) == {("a", "web")}
    store.do(change("a", fixed_ips=(AddressWish(ip_address="10.0.0.11"),), security_groups=()))
    assert told(store) == [("a@web", None)]
    store.do(change("a", security_groups=("db",)))
    assert told(store) == [("a@db", ("10.0.0.11", "192.0.2.0/24"))]


def test_a_deleted_port_is_no_member_while_its_host_withdraws(store: Store) -> None:
    make(store, host="h1")
    told(store)
    store.do(delete("a"))
    assert store.port("a") is not None
    assert told(store) == [("a@web", None), ("a@db", None)]
    assert rows(store) == set()
    withdraw(store, "h1")
    assert told(store) == []
    assert store.port("a") is None


def test_a_fence_ends_it_and_what_is_bound_anew_is_a_member_again(store: Store) -> None:
    make(store, host="h1")
    told(store)
    store.do(FenceHost(caller=ADMIN, host="h1", reason="dead"))
    assert told(store) == [("a@web", None), ("a@db", None)]
    store.do(UnfenceHost(caller=ADMIN, host="h1"))
    store.do(register("h1", "life2"))
    assert told(store) == [("a@web", ("10.0.0.10",)), ("a@db", ("10.0.0.10",))]


def test_groups_come_before_their_members_and_are_no_hosts(store: Store) -> None:
    draft = SecurityGroupDraft(id="new", project_id="p", name="new")
    store.do(
        Together(
            caller=ADMIN,
            commands=(
                CreateSecurityGroups(caller=ADMIN, drafts=(draft,)),
                create("b", security_groups=("new",), host="h1"),
            ),
        )
    )
    kinds = [event.kind for event in store.events]
    assert (
        kinds.index(Kind.SECURITY_GROUP) < kinds.index(Kind.PORT) < kinds.index(Kind.GROUP_MEMBER)
    )
    of_groups = {Kind.SECURITY_GROUP, Kind.GROUP_MEMBER}
    assert all(event.hosts == frozenset() for event in store.events if event.kind in of_groups)


def test_a_rule_is_one_event_of_its_group_and_reads_no_member(store: Store) -> None:
    for n in range(20):
        store.do(create(f"p{n}", security_groups=("web",), host="h1"))
    store.events.clear()
    rule = SecurityGroupRule(id="r", direction=Direction.INGRESS, ethertype="IPv4")
    with store.place.listening() as said:
        store.do(AddSecurityGroupRules(caller=ADMIN, group_id="web", rules=(rule,)))
    (event,) = store.events
    assert (event.kind, event.id) == (Kind.SECURITY_GROUP, "web")
    group = msgspec.json.decode(event.body or b"", type=SecurityGroup)
    assert "r" in {each.id for each in group.rules}
    assert not [each for each in said if "membership" in each or " port " in each]


def test_a_batch_that_empties_a_group_may_delete_it_and_another_may_not(store: Store) -> None:
    for n in range(5):
        store.do(create(f"p{n}", security_groups=("web",)))
    gone = DeleteSecurityGroup(caller=ADMIN, id="web")
    four = Together(caller=ADMIN, commands=(delete("p0", "p1", "p2", "p3"), gone))
    with pytest.raises(SecurityGroupInUse):
        store.do(four)
    store.do(Together(caller=ADMIN, commands=(delete("p0", "p1", "p2", "p3", "p4"), gone)))
    assert rows(store) == set()


def statements(store: Store, port_id: str, **attributes: Any) -> list[str]:
    with store.place.listening() as said:
        store.do(create(port_id, **attributes))
    return said


def test_a_port_costs_one_row_more_and_nothing_else(store: Store) -> None:
    store.do(create("first"))
    of_groups = [
        each for each in statements(store, "second") if "security" in each or "member" in each
    ]
    named = statements(store, "third", security_groups=("web",))  # read once
    again = statements(store, "fourth", security_groups=("web",))
    port_id = "INSERT INTO membership (group_id, port_id) "
    assert [each.startswith(port_id) for each in of_groups if not _is_port_row(each)] == [True]
    assert len(named) == len(again) + 1


def _is_port_row(statement: str) -> bool:
    return statement.startswith(("INSERT INTO port ", "INSERT INTO event "))
