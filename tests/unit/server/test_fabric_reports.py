"""What the fabric controller reports: attachments with the ports on them, links, switches."""

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from structlog.testing import capture_logs
from tests.doubles.places import Place
from tests.doubles.store import ADMIN, Store, create, delete, report, reports, update
from tests.unit.server.overlay_scene import (
    HOSTS,
    LEAVES,
    attachments,
    bonded,
    fabric_store,
    hold_lease,
    replaced,
    topology,
    vlans,
)

from netwright.model.conditions import CABLING, LEAF_LINKS
from netwright.model.fabric import (
    AttachmentReport,
    FabricReports,
    LinkReport,
    SwitchReport,
    SwitchState,
    SwitchStatus,
)
from netwright.model.resources import Port, VnicType
from netwright.model.states import AttachmentState, Plane, PortState
from netwright.model.topology import End
from netwright.model.wire import Heartbeat, Kind, ReportOutcome, ReportStatus
from netwright.server.commands import CreatePorts, HeartbeatHost, PortDraft, Tick
from netwright.server.fabric_commands import ApplyFabricReports
from netwright.server.overlay.reporting import OVERLAY_DEADLINE_S, StaleLease
from netwright.server.store.upkeep import overdue_attachments

UP, DOWN, REFUSED, WITHDRAWN = (
    ReportStatus.UP,
    ReportStatus.DOWN,
    ReportStatus.REFUSED,
    ReportStatus.WITHDRAWN,
)


@pytest.fixture
def store(place: Place) -> Iterator[Store]:
    store = fabric_store(place)
    yield store
    store.close()


def said(
    store: Store,
    status: ReportStatus,
    network: str = "red",
    host: str = "h1",
    *,
    older: int = 0,
    cause: str = "",
) -> AttachmentReport:
    """A report about the attachment as it is now."""
    attachment = attachments(store).get((network, host))
    generation = attachment.generation - older if attachment else 1
    return AttachmentReport(
        network_id=network, host=host, generation=generation, status=status, cause=cause
    )


def told(store: Store, *of: AttachmentReport, token: int | None = None, **more: Any) -> Any:
    token = hold_lease(store) if token is None else token
    whole = FabricReports(token=token, attachments=of, **more)
    return store.do(ApplyFabricReports(caller=ADMIN, reports=whole))


def outcomes(results: Any) -> list[tuple[str, ReportOutcome]]:
    return [(one.id, one.result) for one in results.results]


def state(store: Store, port_id: str) -> PortState:
    port = store.port(port_id)
    assert port is not None
    return port.state


def wire(store: Store, port: Port, status: ReportStatus = UP) -> None:
    host = port.bindings[0].host
    store.do(reports(host, report(port, host, status)))


def test_a_port_is_active_when_both_planes_are_up_and_its_history_says_which(store: Store) -> None:
    (first,) = store.do(create("a", "red", host="h1"))
    (second,) = store.do(create("b", "red", host="h1"))
    wire(store, first)
    assert state(store, "a") is PortState.WIRING, "it was never up"
    assert outcomes(told(store, said(store, UP))) == [("red@h1", ReportOutcome.APPLIED)]
    assert (state(store, "a"), state(store, "b")) == (PortState.ACTIVE, PortState.WIRING)
    wire(store, second)
    assert state(store, "b") is PortState.ACTIVE
    history = [(one.event, one.plane, one.actor, one.to_state) for one in store.history("a")]
    assert history[1:] == [
        ("plane_up", Plane.UNDERLAY, "agent h1", PortState.WIRING),
        ("plane_up", Plane.OVERLAY, "fabric", PortState.ACTIVE),
    ]


@pytest.mark.parametrize("overlay_first", [True, False])
def test_what_an_attachment_loses_its_ports_lose(store: Store, *, overlay_first: bool) -> None:
    (port,) = store.do(create("a", "red", host="h1"))
    if overlay_first:
        told(store, said(store, UP))
        wire(store, port)
    else:
        wire(store, port)
        told(store, said(store, UP))
    assert state(store, "a") is PortState.ACTIVE
    told(store, said(store, DOWN, cause="leaf1 lost VNI 5000"))
    after = store.port("a")
    assert after is not None
    assert (after.state, after.cause) == (PortState.DEGRADED, "leaf1 lost VNI 5000")
    told(store, said(store, REFUSED, cause="leaf2 refuses VLAN 7"))
    assert state(store, "a") is PortState.ERROR
    told(store, said(store, DOWN))
    assert state(store, "a") is PortState.DEGRADED
    told(store, said(store, UP))
    assert state(store, "a") is PortState.ACTIVE
    told(store, said(store, WITHDRAWN))
    assert attachments(store)["red", "h1"].state is AttachmentState.WANTED, "nobody asked for it"
    assert state(store, "a") is PortState.DEGRADED


def test_a_machines_port_stands_while_its_other_interface_is_not_up_yet(store: Store) -> None:
    """What is said of that one is said of the whole attachment; it takes nothing down."""

    def metal(name: str, number: int) -> None:
        link = {"switch_info": "leaf1", "port_id": f"swp{number}"}
        profile = {"local_link_information": [link]}
        store.do(create(name, "red", host="m1", vnic_type=VnicType.BAREMETAL, profile=profile))

    metal("one", 1)
    told(store, said(store, UP, host="m1"))
    metal("two", 2)
    with capture_logs() as logged:
        told(store, said(store, DOWN, host="m1", cause="Not yet: swp2 is not there."))
    assert not logged
    assert (state(store, "one"), state(store, "two")) == (PortState.ACTIVE, PortState.WIRING)
    second = store.port("two")
    assert second is not None
    assert second.cause == "Not yet: swp2 is not there."
    told(store, said(store, UP, host="m1"))
    assert (state(store, "one"), state(store, "two")) == (PortState.ACTIVE, PortState.ACTIVE)
    told(store, said(store, DOWN, host="m1", cause="leaf1 lost VNI 5000"))
    assert (state(store, "one"), state(store, "two")) == (PortState.DEGRADED, PortState.DEGRADED)


def test_only_ports_bound_there_follow(store: Store) -> None:
    for name, network, host in (
        ("there", "red", "h1"), ("elsewhere", "red", "h2"), ("other", "blue", "h1"),
    ):  # fmt: skip
        (port,) = store.do(create(name, network, host=host))
        wire(store, port)
    told(store, said(store, UP))
    found = {port.id: port.state for port in store.ports()}
    assert found == {
        "there": PortState.ACTIVE,
        "elsewhere": PortState.WIRING,
        "other": PortState.WIRING,
    }


def test_five_hundred_ports_follow_in_one_batch_of_statements(store: Store) -> None:
    drafts = [
        PortDraft(id=f"p{n}", project_id="p", network_id="red", host="h1") for n in range(500)
    ]
    ports = store.do(CreatePorts(caller=ADMIN, drafts=tuple(drafts)))
    store.do(reports("h1", *(report(port, "h1", UP) for port in ports)))
    mark = len(store.events)
    told(store, said(store, UP))
    assert {port.state for port in store.ports()} == {PortState.ACTIVE}
    new = store.events[mark:]
    assert [event.kind for event in new[:1]] == [Kind.ATTACHMENT]
    assert len([event for event in new if event.kind is Kind.PORT]) == 500
    mark = len(store.events)
    told(store, said(store, UP))
    assert store.events[mark:] == [], "nothing is new"


def test_who_does_not_hold_the_lease_changes_nothing_and_hears_who_does(store: Store) -> None:
    store.do(create("a", "red", host="h1"))
    with pytest.raises(StaleLease, match=r"Token 7 is not that of lease fabric: nobody holds it"):
        told(store, said(store, UP), token=7)
    old = hold_lease(store, "one")
    store.now += 100
    new = hold_lease(store, "two")
    assert new > old
    with pytest.raises(StaleLease, match=rf"Token {old} is not .* fabric: two holds it by now"):
        told(store, said(store, UP), token=old)
    assert attachments(store)["red", "h1"].state is AttachmentState.WANTED
    told(store, said(store, UP), token=new)
    assert attachments(store)["red", "h1"].state is AttachmentState.UP


def test_a_report_changes_the_attachment_of_its_own_generation_alone(store: Store) -> None:
    store.do(create("a", "red", host="h1"))
    results = told(store, said(store, UP, older=1), said(store, UP, "blue"))
    assert outcomes(results) == [
        ("red@h1", ReportOutcome.STALE),
        ("blue@h1", ReportOutcome.UNKNOWN),
    ]
    assert attachments(store)["red", "h1"].state is AttachmentState.WANTED
    results = told(store, said(store, WITHDRAWN, older=1), said(store, WITHDRAWN, "blue"))
    assert [result for _, result in outcomes(results)] == [ReportOutcome.APPLIED] * 2
    assert attachments(store)["red", "h1"].state is AttachmentState.WANTED


def test_an_attachment_rests_until_the_controller_confirms_and_a_binding_revives_it(
    store: Store,
) -> None:
    hold_lease(store)
    (port,) = store.do(create("a", "red", host="h1"))
    told(store, said(store, UP))
    given = vlans(store)["leaf1", "red"]
    store.do(update("a", host=""))
    assert attachments(store)["red", "h1"].state is AttachmentState.UP, "the host may answer yet"
    wire(store, port, WITHDRAWN)
    before = attachments(store)["red", "h1"]
    assert before.state is AttachmentState.WITHDRAWING
    late = said(store, WITHDRAWN)
    store.do(create("b", "red", host="h1"))
    revived = attachments(store)["red", "h1"]
    assert (revived.state, revived.vlan) == (AttachmentState.WANTED, given)
    assert revived.generation == before.generation + 1
    told(store, late)
    assert attachments(store)["red", "h1"] == revived, "what was gone is wanted again"
    (other,) = store.do(create("c", "red", host="h2"))
    store.do(delete("b", "c"))
    wire(store, msgspec.structs.replace(port, id="b"), WITHDRAWN)
    wire(store, other, WITHDRAWN)
    told(store, said(store, WITHDRAWN))
    assert vlans(store) == {("leaf1", "red"): given}, "h2 has it still"
    told(store, said(store, WITHDRAWN, host="h2"))
    assert (attachments(store), vlans(store)) == ({}, {})
    store.now += 1
    store.do(create("d", "red", host="h1"))
    assert attachments(store)["red", "h1"].generation > revived.generation


def test_the_last_two_withdrawn_in_one_batch_free_the_vlan(store: Store) -> None:
    hold_lease(store)
    ports = [store.do(create(f"p{host}", "red", host=host))[0] for host in ("h1", "h2")]
    store.do(delete("ph1", "ph2"))
    for port in ports:
        wire(store, port, WITHDRAWN)
    told(store, said(store, WITHDRAWN), said(store, WITHDRAWN, host="h2"))
    assert (attachments(store), vlans(store)) == ({}, {})


def test_a_controller_that_lives_has_so_long_to_bring_it_up(store: Store) -> None:
    (port,) = store.do(create("a", "red", host="h1"))
    wire(store, port)
    store.now += OVERLAY_DEADLINE_S
    assert due(store) == (), "there is no controller"
    held = store.now
    hold_lease(store)
    assert due(store) == (), "it has just begun"
    store.now = held + OVERLAY_DEADLINE_S
    assert due(store) == (), "its lease has ended"
    renew(store)
    assert due(store) == (("red", "h1"),)
    store.do(Tick(caller=ADMIN, overdue_attachments=due(store)))
    after = store.port("a")
    assert after is not None
    assert after.state is PortState.ERROR
    assert after.cause.startswith(
        "deadline: 60 s after network red was wanted on host h1 (leaves leaf1, leaf2), the fabric"
    )
    assert due(store) == ()
    told(store, said(store, UP))
    assert state(store, "a") is PortState.ACTIVE


def due(store: Store) -> tuple[tuple[str, str], ...]:
    return store.place.run(overdue_attachments(store.place.tx, store.now))


def renew(store: Store) -> None:
    """The holder has renewed its lease all the while."""
    store.run("UPDATE lease SET expires_at = $1", store.now + 10)


def test_switches_are_kept_as_they_were_last_reported_and_told(store: Store) -> None:
    drifted = SwitchReport(switch="leaf1", status=SwitchStatus.DRIFTED, drift=("VNI 5 is gone",))
    told(store, switches=(drifted,))
    began = store.now
    store.now += 5
    told(store, switches=(msgspec.structs.replace(drifted, drift=("VNI 6 is gone",)),))
    mark = len(store.events)
    told(store, switches=(msgspec.structs.replace(drifted, drift=("VNI 6 is gone",)),))
    assert len(store.events) == mark
    (event,) = [event for event in store.events if event.kind is Kind.SWITCH][1:]
    assert event.id == "leaf1"
    assert event.body is not None
    assert msgspec.json.decode(event.body, type=SwitchState) == SwitchState(
        name="leaf1", status=SwitchStatus.DRIFTED, drift=("VNI 6 is gone",), since=began
    )


def test_who_does_not_say_whether_a_switch_is_drained_leaves_it_so(store: Store) -> None:
    def drained() -> bool:
        ((body,),) = store.rows("SELECT body FROM switch_state")
        return msgspec.json.decode(body, type=SwitchState).drained

    silent = SwitchReport(switch="leaf1", status=SwitchStatus.IN_SYNC)
    told(store, switches=(silent,))
    assert not drained()
    told(store, switches=(msgspec.structs.replace(silent, drained=True),))
    assert drained()
    told(store, switches=(msgspec.structs.replace(silent, cause="as before"),))
    assert drained()
    told(store, switches=(msgspec.structs.replace(silent, drained=False),))
    assert not drained()


def test_leaves_whose_interfaces_have_no_link_are_a_condition_of_the_host(store: Store) -> None:
    def link(interface: str, *, up: bool) -> LinkReport:
        node, _, name = interface.partition("/")
        return LinkReport(end=End(node=node, interface=name), is_up=up)

    told(store, links=(link("leaf1/h1", up=True), link("leaf9/swp1", up=False)))
    assert conditions(store) == {}
    told(store, links=(link("leaf1/h1", up=False),))
    assert conditions(store) == {
        LEAF_LINKS: "interface h1 of leaf leaf1 is down, interface h1 of leaf leaf2 is not reported"
    }
    told(store, links=(link("leaf2/h1", up=False), link("leaf1/h1", up=True)))
    assert conditions(store) == {
        LEAF_LINKS: "interface h1 of leaf leaf1 is up, interface h1 of leaf leaf2 is down"
    }
    beat(store, conditions={"redundancy lost": "eth1"})
    assert conditions(store).keys() == {LEAF_LINKS, "redundancy lost"}
    told(store, links=(link("leaf2/h1", up=True),))
    assert conditions(store) == {"redundancy lost": "eth1"}


def test_another_inventory_forgets_what_was_said_of_what_it_does_not_have(store: Store) -> None:
    gone = SwitchReport(switch="leaf4", status=SwitchStatus.UNREACHABLE)
    down = LinkReport(end=End(node="leaf1", interface="h1"), is_up=False)
    beat(store, neighbours={"eth0": "leaf1/h1"})
    told(store, switches=(gone,), links=(down,))
    assert conditions(store).keys() == {LEAF_LINKS}
    links = (*bonded("h1", 2, 3), *HOSTS[2:4])
    store.do(replaced(topology(switches=LEAVES[:3], links=links)))
    assert conditions(store).keys() == {CABLING}
    assert store.rows("SELECT id FROM switch_state") == []
    assert store.events[-1].kind in {Kind.SWITCH, Kind.HOST}


def test_lldp_confirms_the_inventory_or_contradicts_it_with_both_sides(store: Store) -> None:
    beat(store, neighbours={"eth0": "leaf1/h1"})
    assert conditions(store) == {}
    beat(store, neighbours={"eth0": "leaf3/swp7", "eth2": "leaf1/swp9"})
    assert conditions(store) == {
        CABLING: "eth0 of host h1 hangs on leaf1/h1 by the inventory, and hears leaf3/swp7 by LLDP"
        "; eth2 of host h1 has no link by the inventory, and hears leaf1/swp9 by LLDP"
    }
    beat(store, neighbours={"eth0": "leaf1/h1"})
    assert conditions(store) == {}


def beat(store: Store, **news: Any) -> None:
    heartbeat = Heartbeat(epoch="life1", **news)
    store.do(HeartbeatHost(caller=ADMIN, host="h1", heartbeat=heartbeat))


def conditions(store: Store) -> dict[str, str]:
    host = store.host("h1")
    assert host is not None
    return dict(host.conditions)
