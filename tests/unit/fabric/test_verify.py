"""What an attachment is, by what switches say: the table of `verify`, row by row."""

from collections.abc import Mapping
from typing import Any

import pytest
from msgspec.structs import replace
from tests.doubles import fabrics

from netwright.fabric import completeness, verify
from netwright.fabric.config import EMPTY, Fenced, Interface, RouteTargets, Segment, SwitchConfig
from netwright.fabric.drivers.base import Actual, Learned
from netwright.fabric.elements import ElementKey
from netwright.fabric.plan import plan
from netwright.fabric.verify import Fabric, Place, Placement
from netwright.fabric.views import View
from netwright.model.fabric import SwitchStatus
from netwright.model.wire import ReportStatus

NETWORK = fabrics.network(1)
TOPOLOGY = fabrics.topology(leaves=4, hosts=2)
INTENT = fabrics.intent(
    TOPOLOGY,
    networks=[NETWORK],
    attachments=[fabrics.attachment(NETWORK, host, 10) for host in ("host1", "host2")],
)
WANTED = plan(INTENT).switches
LOOPBACKS = {one.name: one.loopback for one in TOPOLOGY.switches}
LEAVES = ("leaf1", "leaf2", "leaf3", "leaf4")
PLACES = tuple(Place(switch=leaf, interface="h1", vlan=10) for leaf in ("leaf1", "leaf2"))
PLACEMENT = Placement(network_id="net-1", host="host1", generation=1, vni=1001, places=PLACES)
UP, DOWN, REFUSED = ReportStatus.UP, ReportStatus.DOWN, ReportStatus.REFUSED


def learned(leaf: str, *, heard: tuple[str, ...] = LEAVES, **more: Any) -> Learned:
    targets = frozenset({"65000:1001"})
    values = {"export_targets": targets, "import_targets": targets} | more
    vteps = frozenset(LOOPBACKS[one] for one in heard if one != leaf)
    return Learned(vni=1001, rd="1:1", remote_vteps=vteps, **values)


def view(leaf: str, config: SwitchConfig | None = None, **more: Any) -> View:
    actual = Actual(config=config or WANTED[leaf], links={}, boot_id="b")
    values: dict[str, Any] = {"actual": actual, "learned": {1001: learned(leaf)}} | more
    return View(name=leaf, status=SwitchStatus.IN_SYNC, **values)


def unreachable(leaf: str) -> View:
    return View(name=leaf, status=SwitchStatus.UNREACHABLE, cause=f"{leaf} is gone")


def fabric(views: Mapping[str, View] | None = None, **more: Any) -> Fabric:
    every = {leaf: view(leaf) for leaf in LEAVES} | dict(views or {})
    return Fabric(wanted=WANTED, views=every, loopbacks=LOOPBACKS, **more)


def said(
    views: Mapping[str, View] | None = None, *, was_up: bool = False, **more: Any
) -> tuple[ReportStatus | None, str]:
    found = verify.verdict(PLACEMENT, fabric(views, **more), was_up=was_up)
    return found.status, found.cause


def test_it_is_up_when_tuple_route_and_import_are_there() -> None:
    assert said() == (UP, "")
    observed = {(LOOPBACKS[leaf], 1001): frozenset({"65000:1001", "other"}) for leaf in LEAVES}
    assert said(observed=observed) == (UP, "")


def test_one_living_leaf_is_enough_and_both_dead_are_not() -> None:
    status, cause = said({"leaf1": unreachable("leaf1")})
    assert (status, cause) == (UP, "switch leaf1: leaf1 is gone")
    both = {leaf: unreachable(leaf) for leaf in ("leaf1", "leaf2")}
    status, cause = said(both, was_up=True)
    assert status is DOWN
    assert "leaf1 is gone" in cause
    assert "leaf2 is gone" in cause
    assert said(both, was_up=False)[0] is DOWN
    assert said(drained=frozenset({"leaf1", "leaf2"}))[0] is DOWN


def test_nothing_is_concluded_before_all_leaves_were_read() -> None:
    whole = fabric()
    views = {name: one for name, one in whole.views.items() if name != "leaf2"}
    found = verify.verdict(PLACEMENT, replace(whole, views=views), was_up=True)
    assert (found.status, found.cause) == (None, "Switch leaf2 was not read yet.")


def test_a_leaf_that_holds_its_port_down_takes_nothing_from_what_the_other_carries() -> None:
    """It started anew, and is empty yet."""
    held = {
        leaf: view(leaf, replace(EMPTY, interfaces={"h1": Interface(name="h1", is_down=True)}))
        for leaf in ("leaf1", "leaf2")
    }
    for was_up in (True, False):
        status, cause = said({"leaf1": held["leaf1"]}, was_up=was_up)
        assert (status, cause) == (UP, "leaf1/h1 is held down")
        status, cause = said(held, was_up=was_up)
        assert status is DOWN
        assert "leaf2/h1 is held down" in cause


WRONG = RouteTargets(imports=("1:1",), exports=("1:1",))
SEGMENT = WANTED["leaf1"].segments[1001]


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (replace(WANTED["leaf1"], segments={}), "VNI 1001 of network net-1 is not on switch leaf1"),
        (replace(WANTED["leaf1"], segments={1001: replace(SEGMENT, route_targets=WRONG)}), "1:1"),
        (
            replace(WANTED["leaf1"], segments={1001: replace(SEGMENT, vrf="x")}),
            "it has VRF x, which is",
        ),
        (
            replace(
                WANTED["leaf1"],
                segments={
                    1001: replace(
                        SEGMENT, rd="", vlan=11, route_targets=RouteTargets(imports=(), exports=())
                    )
                },
            ),
            "leaf1 is not as planned: it has no RD, no route target, VLAN 11 instead of 10.",
        ),
        (replace(WANTED["leaf1"], interfaces={}), "VLAN 10 on leaf1/h1 does not lead to VNI 1001"),
        (
            replace(WANTED["leaf1"], interfaces={"h1": Interface(name="h1", tagged={10: 7})}),
            "VLAN 10 on leaf1/h1",
        ),
    ],
)
def test_a_tuple_that_is_not_read_back_is_named(config: SwitchConfig, words: str) -> None:
    status, cause = said({"leaf1": view("leaf1", config)})
    assert (status, words in cause) == (None, True), cause
    status, cause = said({"leaf1": view("leaf1", config)}, was_up=True)
    assert (status, words in cause) == (DOWN, True), cause


@pytest.mark.parametrize(
    ("one", "words"),
    [
        ({}, "does not announce VNI 1001"),
        ({1001: learned("leaf1", export_targets=frozenset({"9:9"}))}, "route targets 9:9"),
        ({1001: learned("leaf1", import_targets=frozenset())}, "imports none"),
    ],
)
def test_a_missing_or_wrong_route_is_pending_and_asked_about(
    one: Mapping[int, Learned], words: str
) -> None:
    found = verify.verdict(PLACEMENT, fabric({"leaf1": view("leaf1", learned=one)}), was_up=False)
    assert (found.status, found.stands, found.ask) == (None, True, (("leaf1", 1001),))
    assert words in found.cause
    # What was up stays so by the other leaf, and says what it lacks.
    status, cause = said({"leaf1": view("leaf1", learned=one)}, was_up=True)
    assert (status, words in cause) == (UP, True)
    both = {leaf: view(leaf, learned=one) for leaf in ("leaf1", "leaf2")}
    assert said(both, was_up=True)[0] is DOWN


def test_another_leaf_must_have_imported_it_when_there_is_one() -> None:
    deaf = {leaf: view(leaf, learned={1001: learned(leaf, heard=("leaf2",))}) for leaf in LEAVES}
    status, cause = said(deaf)
    assert (status, "No other switch has imported VNI 1001 from leaf1" in cause) == (None, True)
    alone = {leaf: unreachable(leaf) for leaf in LEAVES if leaf != "leaf1"}
    assert said(deaf | alone)[0] is UP


def test_the_observer_sees_what_the_leaf_only_says() -> None:
    observed = {(LOOPBACKS[leaf], 1001): frozenset({"65000:1001"}) for leaf in LEAVES}
    status, cause = said(observed=observed | {(LOOPBACKS["leaf1"], 1001): frozenset({"1:1"})})
    assert (status, "The observer sees route targets 1:1" in cause) == (None, True)
    assert "no route of VNI 1001 from leaf1" in said(observed={})[1]


def test_refusals_name_switch_interface_and_network() -> None:
    refused = {ElementKey(Segment, "1001"): "no room for segment 1001"}
    status, cause = said({"leaf2": view("leaf2", EMPTY, refusals=refused)})
    assert status is REFUSED
    assert cause == "Switch leaf2, interface h1: no room for segment 1001"
    planned = replace(PLACEMENT, refusal="VLAN 10 is another's.")
    assert verify.verdict(planned, fabric(), was_up=True).status is REFUSED
    off = replace(planned, is_off=True)
    assert verify.verdict(off, fabric(), was_up=True).status is DOWN
    nowhere = replace(PLACEMENT, places=())
    assert "host1" in verify.verdict(nowhere, fabric(), was_up=False).cause


def test_withdrawn_is_what_every_leaf_shows_and_a_silent_one_does_not() -> None:
    gone = {leaf: view(leaf, EMPTY) for leaf in ("leaf1", "leaf2")}
    assert verify.withdrawn(PLACEMENT, fabric(gone)).status is ReportStatus.WITHDRAWN
    still = verify.withdrawn(PLACEMENT, fabric({"leaf1": gone["leaf1"]}))
    assert (still.status, still.cause) == (None, "leaf2/h1 still has VNI 1001")
    silent = verify.withdrawn(PLACEMENT, fabric(gone | {"leaf2": unreachable("leaf2")}))
    assert silent.status is None
    # Of a network that is not known any more, any VNI in its VLAN counts.
    unknown = replace(PLACEMENT, vni=0)
    assert verify.withdrawn(unknown, fabric()).status is None
    assert verify.withdrawn(unknown, fabric(gone)).status is ReportStatus.WITHDRAWN


def test_a_switch_is_complete_when_others_have_heard_it_since() -> None:
    fresh: Mapping[str, Mapping[int, float]] = {leaf: {1001: 5.0} for leaf in LEAVES}
    assert completeness.asks("leaf1", fabric(), fresh, 4.0) is None
    assert completeness.asks("leaf1", fabric(), fresh, 6.0) == dict.fromkeys(
        LEAVES[1:], frozenset({1001})
    )
    lost = {"leaf1": view("leaf1", learned={1001: learned("leaf1", heard=())})}
    assert completeness.asks("leaf1", fabric(lost), fresh, 4.0) == {"leaf1": frozenset({1001})}
    assert completeness.asks("leaf1", fabric({"leaf1": unreachable("leaf1")}), fresh, 4.0) == {}


def test_what_is_broken_of_a_vlan_is_not_withdrawn() -> None:
    """A VLAN that leads to VNI 0 is one of ours that is half there (`drivers.frr.reading`)."""
    half = replace(EMPTY, interfaces={"h1": Interface(name="h1", tagged={10: 0})})
    gone = {"leaf1": view("leaf1", EMPTY), "leaf2": view("leaf2", EMPTY)}
    assert verify.withdrawn(PLACEMENT, fabric(gone)).status is ReportStatus.WITHDRAWN
    found = verify.withdrawn(PLACEMENT, fabric(gone | {"leaf1": view("leaf1", half)}))
    assert found.status is None
    assert "leaf1/h1" in found.cause


def test_it_is_not_up_while_a_leaf_drops_what_it_shall_drop_no_more() -> None:
    """As after `host unfence`: until the leaf has been told, nobody hears the host's ports."""
    drop = Fenced(port_id="p1", mac_address="02:00:00:00:00:01")
    config = WANTED["leaf1"]
    interface = replace(config.interfaces["h1"], fenced=(drop,))
    still = replace(config, interfaces={**config.interfaces, "h1": interface})
    status, cause = said({"leaf1": view("leaf1", still)})
    assert status is None
    assert "leaf1/h1 still drops" in cause
    both = Fabric(
        wanted={**WANTED, "leaf1": still},
        views={leaf: view(leaf) for leaf in LEAVES} | {"leaf1": view("leaf1", still)},
        loopbacks=LOOPBACKS,
    )
    assert verify.verdict(PLACEMENT, both, was_up=False).status is UP, "it is fenced on purpose"
