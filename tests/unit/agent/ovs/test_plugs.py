"""Containers' devices as rows of OVSDB."""

from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from tests.unit.agent.ovs.plan_scene import RED, WEB, WIRING, desired, endpoint, started
from tests.unit.agent.ovs.simswitch import SimSwitch

from netwright.agent.ovs.actual import CONTAINER_MARK, Actual, Rows
from netwright.agent.ovs.changes import DEAD_VLAN, MARK, SEGMENT_MARK, FlowChanges
from netwright.agent.ovs.driver import OvsDriver
from netwright.agent.ovs.errors import TransactionRefusedError
from netwright.agent.ovs.outcome import Blame
from netwright.agent.ovs.plan import make_plan
from netwright.agent.ovs.plugs import Numbers, plugging, unplugging
from netwright.agent.ovs.rows import InterfaceRow
from netwright.agent.ovs.wiring import HostWiring
from netwright.agent.wiring import NewDevice


def rows(mtu: int) -> tuple[Any, Any, Any]:
    device = NewDevice(
        name="nwc1", port_id="p1", mac_address="fa:16:3e:00:00:01", mtu=mtu, owner="c@eth0"
    )
    interface, port, bridge = plugging("br-int", device)
    return interface["row"], port["row"], bridge


def test_a_device_is_named_marked_and_closed_in_the_transaction_that_makes_it() -> None:
    interface, port, bridge = rows(1500)
    assert dict(interface["external_ids"][1]) == {
        "iface-id": "p1",
        "iface-status": "active",
        "attached-mac": "fa:16:3e:00:00:01",
        CONTAINER_MARK: "c@eth0",
    }
    assert (port["name"], port["tag"]) == ("nwc1", 4095)
    assert bridge["where"] == [["name", "==", "br-int"]]
    assert bridge["mutations"] == [["ports", "insert", ["named-uuid", "port"]]]


def test_large_frames_are_asked_for() -> None:
    assert "mtu_request" not in rows(1500)[0]
    assert rows(9000)[0]["mtu_request"] == 9000


def test_unplugging_takes_the_port_out_of_its_bridge() -> None:
    *_, operation = unplugging("br-int", "u1", "nwc1")
    assert operation["mutations"] == [["ports", "delete", ["uuid", "u1"]]]


def test_a_limited_device_is_left_alone_and_the_row_that_says_so_goes_with_it() -> None:
    device = NewDevice(
        name="nwc1", port_id="p1", mac_address="m", mtu=1500, owner="c@eth0", is_limited=True
    )
    limit, _, port, _ = plugging("br-int", device)
    assert limit["row"]["type"] == "linux-noop"
    assert port["row"]["qos"] == ["named-uuid", limit["uuid-name"]]
    let_go, gone, _ = unplugging("br-int", "u1", "nwc1")
    assert let_go["row"] == {"qos": ["set", []]}
    assert gone["where"] == [["external_ids", "includes", limit["row"]["external_ids"]]]


@pytest.mark.parametrize("is_refused", [False, True])
async def test_the_limit_of_a_device_that_others_took_away_goes_at_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, is_refused: bool
) -> None:
    """An end is an end, also when a port that is not as it was made has the row still."""
    driver = OvsDriver(HostWiring(()), ovsdb=tmp_path / "db.sock", rundir=tmp_path)
    told: list[Any] = []

    async def synced(_timeout_s: float) -> None:
        return

    async def transact(operations: list[Any]) -> list[Any]:
        told.extend(operations)
        if is_refused:
            raise TransactionRefusedError("commit", "QoS", 1, "referential integrity", "")
        return [{"count": 1}]

    monkeypatch.setattr(driver._ovsdb, "wait_synced", synced)
    monkeypatch.setattr(driver._ovsdb, "transact", transact)
    await driver.plugger.unplug("nwc1")
    assert told == [unplugging("br-int", "u1", "nwc1")[1]]


class TablesDouble:
    """Flows of a simulated switch; `refuses` bars whoever they are of."""

    def __init__(self, switch: SimSwitch) -> None:
        self.known = frozenset({"br-int"})
        self.applied: list[FlowChanges] = []
        self.refuses = ""
        self._switch = switch

    def actual(self, _rows: Rows) -> Actual:
        return self._switch.actual()

    async def apply(self, changes: FlowChanges, blame: Blame) -> None:
        self.applied.append(changes)
        if self.refuses:
            blame.port("p1", self.refuses)


@pytest.fixture
def plugged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[OvsDriver, list[Any]]:
    """A driver that has wired its host, and the rows of ports that it was told to insert."""
    switch = started()
    want = desired(endpoint("p1"), endpoint("p2", filter=WEB))
    switch.converge(want)
    driver = OvsDriver(WIRING, ovsdb=tmp_path / "db.sock", rundir=tmp_path)
    told: list[Any] = []

    async def transact(operations: list[Any]) -> list[Any]:
        told.extend(one["row"] for one in operations if one.get("table") == "Port")
        return [{"count": 1}]

    monkeypatch.setattr(driver, "_tables", TablesDouble(switch))
    monkeypatch.setattr(driver, "_rows", switch.rows)
    monkeypatch.setattr(driver._ovsdb, "transact", transact)
    driver._desired = want
    return driver, told


def device_of(port_id: str) -> NewDevice:
    return NewDevice(name="nwc1", port_id=port_id, mac_address="m", mtu=1500, owner="c@eth0")


async def test_a_device_is_plugged_where_the_plan_would_have_it(
    plugged: tuple[OvsDriver, list[Any]],
) -> None:
    driver, told = plugged
    await driver.plugger.plug(device_of("p1"))
    (port,) = told
    assert port["tag"] < DEAD_VLAN
    assert dict(port["external_ids"][1]) == {MARK: "port", SEGMENT_MARK: str(RED)}


async def test_the_guard_of_a_filtered_port_stands_before_it_is_plugged(
    plugged: tuple[OvsDriver, list[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    driver, told = plugged
    tables = driver._tables
    assert isinstance(tables, TablesDouble)
    apply = tables.apply

    async def watched(changes: FlowChanges, blame: Blame) -> None:
        assert told == []
        await apply(changes, blame)

    monkeypatch.setattr(tables, "apply", watched)
    await driver.plugger.plug(device_of("p2"))
    assert [changes.keys() for changes in tables.applied] == [{"br-int"}]
    assert told[0]["tag"] < DEAD_VLAN
    assert driver.has_changed  # had it been refused, the guard would go again


@pytest.mark.parametrize("why", ["converging", "unread", "refused", "unknown", "many"])
async def test_a_device_goes_into_the_dead_vlan_when_no_plan_can_be_asked(
    plugged: tuple[OvsDriver, list[Any]], why: str
) -> None:
    driver, told = plugged
    tables = driver._tables
    assert isinstance(tables, TablesDouble)
    if why == "converging":
        await driver._lock.acquire()
    elif why == "unread":
        tables.known = frozenset()
    elif why == "many":
        driver._planner.looked_at = 100
    elif why == "refused":
        tables.refuses = "no room"
    await driver.plugger.plug(device_of({"refused": "p2", "unknown": "p9"}.get(why, "p1")))
    (port,) = told
    assert (port["tag"], "external_ids" in port) == (DEAD_VLAN, False)


def numbered(*ofports: int, asked: tuple[int, ...] = ()) -> list[InterfaceRow]:
    """Devices that have these numbers, and some that are not opened yet."""
    switch = started()
    switch.plug("br-int", "tap0")
    row = switch.interface("tap0")
    found = [replace(row, ofport=ofport) for ofport in ofports]
    return [*found, *(replace(row, ofport=None, ofport_request=ofport) for ofport in asked)]


def test_an_openflow_port_is_asked_for() -> None:
    device = NewDevice(name="nwc1", port_id="p1", mac_address="m", mtu=1500, owner="c@eth0")
    assert plugging("br-int", device, ofport=20_007)[0]["row"]["ofport_request"] == 20_007
    assert "ofport_request" not in plugging("br-int", device)[0]["row"]


def test_numbers_are_given_one_after_the_other_and_none_that_is_taken() -> None:
    numbers = Numbers()
    assert [numbers.next(()) for _ in range(3)] == [20_000, 20_001, 20_002]
    assert numbers.next(numbered(1, 20_003, asked=(20_004,))) == 20_005
    assert numbers.next(()) == 20_006, "what became free is not given again at once"


def test_a_next_life_goes_on_after_the_last_and_then_from_the_first() -> None:
    assert Numbers().next(numbered(7, 20_100)) == 20_101
    numbers = Numbers()
    assert numbers.next(numbered(Numbers.LAST, Numbers.FIRST)) == Numbers.FIRST + 1


def test_no_number_is_asked_for_when_all_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Numbers, "LAST", Numbers.FIRST + 1)
    assert Numbers().next(numbered(Numbers.FIRST, Numbers.LAST)) is None


def asked_for(switch: SimSwitch, ofport: int) -> InterfaceRow:
    """A container's device that is plugged where its port is, and not opened yet."""
    switch.plug("br-int", "nwc1", "p0", 4095)
    row = switch.interface("nwc1")
    ids = {**row.external_ids, CONTAINER_MARK: "c@eth0"}
    row = replace(row, ofport=None, ofport_request=ofport, external_ids=ids)
    switch.interfaces[row.uuid] = row
    return row


def test_its_flows_are_put_in_place_while_it_is_opened() -> None:
    switch = started()
    row = asked_for(switch, 20_000)
    plan = switch.converge(desired(endpoint()))
    assert [(one.status, one.cause) for one in plan.endpoints] == [
        ("opening", "ovs-vswitchd has not opened nwc1 yet")
    ]
    assert any(("in_port", 20_000) in flow.match for flow in switch.ours("br-int"))
    switch.interfaces[row.uuid] = replace(row, ofport=20_000)
    plan = make_plan(desired(endpoint()), switch.actual())
    assert plan.empty
    assert plan.endpoints[0].status == "up"


def test_what_it_lacks_beside_being_opened_is_said_first() -> None:
    switch = started()
    asked_for(switch, 20_000)
    wanted = desired(endpoint())
    before = make_plan(wanted, switch.actual())
    assert before.endpoints[0].status == "wiring", "its flows are not there yet"
    assert switch.converge(wanted).endpoints[0].status == "opening"
    changed = desired(replace(endpoint(), addresses=("10.0.0.77",)))
    assert make_plan(changed, switch.actual()).endpoints[0].status == "wiring"


def test_a_number_that_may_be_anothers_is_waited_for() -> None:
    """ovs-vswitchd's own have come as far as those that are asked for."""
    switch = started()
    asked_for(switch, 20_001)
    switch.plug("br-int", "tap9", "p9", 4095)
    own = switch.interface("tap9")
    switch.interfaces[own.uuid] = replace(own, ofport=20_000)
    assert switch.converge(desired(endpoint())).endpoints[0].status == "wiring"
    switch.interfaces[own.uuid] = replace(own, ofport=20_000, ofport_request=20_000)
    assert switch.converge(desired(endpoint())).endpoints[0].status == "opening"


def test_one_that_got_another_number_has_its_flows_there() -> None:
    switch = started()
    row = asked_for(switch, 20_000)
    switch.converge(desired(endpoint()))
    switch.interfaces[row.uuid] = replace(row, ofport=9)
    plan = make_plan(desired(endpoint()), switch.actual())
    assert plan.endpoints[0].status == "wiring"
    assert switch.converge(desired(endpoint())).endpoints[0].status == "up"
    matches = {field for flow in switch.ours("br-int") for field in flow.match}
    assert ("in_port", 9) in matches
    assert ("in_port", 20_000) not in matches


def test_nobody_elses_number_is_taken_for_granted() -> None:
    switch = started()
    row = asked_for(switch, 20_000)
    switch.interfaces[row.uuid] = replace(row, external_ids={"iface-id": "p0"})
    switch.converge(desired(endpoint()))
    assert all(("in_port", 20_000) not in flow.match for flow in switch.ours("br-int"))
