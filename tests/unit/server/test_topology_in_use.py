"""A new inventory beside what stands on the fabric: VLANs are kept, conflicts refused."""

from collections.abc import Iterator

import pytest
from msgspec.structs import replace
from tests.doubles.places import Place
from tests.doubles.store import ADMIN, Store, create, delete, report, reports
from tests.unit.server.overlay_scene import (
    HOSTS,
    LEAVES,
    attachments,
    bonded,
    fabric_store,
    hold_lease,
    leaf,
    replaced,
    topology,
    vlans,
)

from netwright.model.fabric import FabricReports, SwitchReport, SwitchStatus
from netwright.model.states import AttachmentState
from netwright.model.wire import ReportStatus
from netwright.server.commands import DeleteHost, Tick
from netwright.server.fabric_commands import ApplyFabricReports
from netwright.server.topology import TopologyInUse

BRIDGED = bonded("h5", 2, 3)
"""A host that makes one VLAN domain of two."""


@pytest.fixture
def store(place: Place) -> Iterator[Store]:
    store = fabric_store(place)
    hold_lease(store)
    yield store
    store.close()


def test_vlans_go_with_their_leaves_when_the_domain_has_another_name(store: Store) -> None:
    store.do(create("a", "red", host="h1"))
    given = vlans(store)["leaf1", "red"]
    first = replace(leaf(9), name="a-leaf")
    joined = (*HOSTS, *bonded("h5", 1, 2)[:1], bonded("h5", 1, 2)[1])
    links = (*joined[:-1], replace(joined[-1], upper=replace(joined[-1].upper, node="a-leaf")))
    store.do(replaced(topology(switches=(*LEAVES, first), links=links)))
    assert vlans(store) == {("a-leaf", "red"): given}
    (port,) = store.do(create("b", "red", host="h2"))
    assert port.bindings
    assert {one.vlan for one in attachments(store).values()} == {given}
    alone = (leaf(2), leaf(3), leaf(4))
    store.do(
        replaced(
            topology(
                switches=alone, links=tuple(link for link in HOSTS if link.upper.node != "leaf1")
            )
        )
    )
    assert vlans(store) == {("leaf2", "red"): given}, "one leaf of a pair was decommissioned"


def test_domains_that_split_both_keep_the_vlan(store: Store) -> None:
    store.do(create("a", "red", host="h1"))
    store.do(create("b", "red", host="h2"))
    given = vlans(store)["leaf1", "red"]
    links = (*bonded("h1", 1, 1)[:1], *bonded("h2", 2, 2)[:1], *HOSTS[4:])
    store.do(replaced(topology(links=links)))
    assert vlans(store) == {("leaf1", "red"): given, ("leaf2", "red"): given}


def test_domains_are_not_joined_in_conflict(place: Place) -> None:
    store = fabric_store(place, vlans=((100, 100),))
    store.do(create("a", "red", host="h1"))
    store.do(create("b", "blue", host="h3"))
    before = store.rows("SELECT body FROM topology")
    with pytest.raises(
        TopologyInUse,
        match=r"one VLAN domain of leaves leaf1, leaf2, leaf3, leaf4, where VLAN 100 is two "
        r"networks: VLAN 100 of network red on host h1 and VLAN 100 of network blue on host h3",
    ):
        store.do(replaced(topology(links=(*HOSTS, *BRIDGED))))
    assert store.rows("SELECT body FROM topology") == before
    store.close()


def test_a_network_with_two_vlans_keeps_its_domains_apart(store: Store) -> None:
    one, other = ((100, 100),), ((300, 300),)
    store.do(replaced(topology(vlans=one)))
    store.do(create("a", "red", host="h1"))
    store.do(replaced(topology(vlans=other)))
    store.do(create("b", "red", host="h3"))
    with pytest.raises(TopologyInUse, match=r"network red has two VLANs: VLAN 100 .* VLAN 300"):
        store.do(replaced(topology(links=(*HOSTS, *BRIDGED))))


def test_links_stay_while_a_network_comes_over_them_and_release_what_only_withdraws(
    store: Store,
) -> None:
    (port,) = store.do(create("a", "red", host="h1"))
    store.do(create("b", "red", host="h2"))
    without = topology(links=HOSTS[2:])
    with pytest.raises(
        TopologyInUse, match=r"red is attached to host h1, and host h1 would have no link to a leaf"
    ):
        store.do(replaced(without))
    store.do(delete("a"))
    store.do(reports("h1", report(port, "h1", ReportStatus.WITHDRAWN)))
    assert attachments(store)["red", "h1"].state is AttachmentState.WITHDRAWING
    store.do(replaced(without))
    assert attachments(store).keys() == {("red", "h2")}
    assert vlans(store).keys() == {("leaf1", "red")}


@pytest.mark.parametrize("withdraws", [False, True])
def test_a_host_is_not_moved_from_a_leaf_that_does_not_answer(
    store: Store, *, withdraws: bool
) -> None:
    """It would go on carrying the VLAN on an interface where another host may come to be."""
    (port,) = store.do(create("a", "red", host="h1"))
    vlan = vlans(store)["leaf1", "red"]
    if withdraws:
        store.do(delete("a"))
        store.do(reports("h1", report(port, "h1", ReportStatus.WITHDRAWN)))
    moved = (*bonded("h1", 3, 4), *HOSTS[2:])
    state_of(store, "leaf2", SwitchStatus.UNREACHABLE)
    with pytest.raises(TopologyInUse) as refused:
        store.do(replaced(topology(links=moved)))
    message = refused.value.message
    for word in ("leaf2", "network red", f"VLAN {vlan}", "host h1", "interface h1"):
        assert word in message, message
    assert vlans(store) == {("leaf1", "red"): vlan}

    without = [each for each in LEAVES if each.name != "leaf2"]
    links = tuple(each for each in moved if each.upper.node != "leaf2")
    store.do(replaced(topology(switches=tuple(without), links=links)))
    assert vlans(store) == {("leaf3", "red"): vlan}, "it was decommissioned"


def test_a_host_is_moved_from_leaves_that_answer(
    store: Store,
) -> None:
    store.do(create("a", "red", host="h1"))
    vlan = vlans(store)["leaf1", "red"]
    state_of(store, "leaf2", SwitchStatus.UNREACHABLE)
    store.do(replaced(topology(links=(*HOSTS, *bonded("h5", 1, 2)))))  # it stays where it is
    state_of(store, "leaf2", SwitchStatus.IN_SYNC)
    store.do(replaced(topology(links=(*bonded("h1", 3, 4), *HOSTS[2:]))))
    assert vlans(store) == {("leaf3", "red"): vlan}


def state_of(store: Store, switch: str, status: SwitchStatus) -> None:
    """The controller's word."""
    whole = FabricReports(
        token=hold_lease(store), switches=(SwitchReport(switch=switch, status=status),)
    )
    store.do(ApplyFabricReports(caller=ADMIN, reports=whole))


def test_a_host_that_is_deleted_releases_its_confirmations(store: Store) -> None:
    (port,) = store.do(create("a", "red", host="h1"))
    store.do(delete("a"))
    store.do(reports("h1", report(port, "h1", ReportStatus.WITHDRAWN)))
    store.do(Tick(caller=ADMIN, silent_hosts=("h1",)))
    assert vlans(store)
    store.do(DeleteHost(caller=ADMIN, host="h1"))
    assert (attachments(store), vlans(store)) == ({}, {})
