"""Bindings asked for ahead, and their activation: who answers for the port, and since when."""

from collections.abc import Iterator
from typing import Any

import pytest
from msgspec.structs import replace
from tests.doubles.places import Place
from tests.doubles.store import (
    ADMIN,
    Store,
    create,
    delete,
    register,
    report,
    reports,
    see,
    update,
)

from netwright.model.errors import (
    BadRequest,
    HostInUse,
    InvalidInput,
    NetwrightError,
    PortBindingAlreadyActive,
    PortBindingAlreadyExists,
    PortBindingError,
    PortBindingNotFound,
    PortNotFound,
)
from netwright.model.resources import (
    Binding,
    NetworkType,
    Port,
    Prepared,
    Segment,
    VifType,
    VnicType,
)
from netwright.model.states import BindingState, PortState
from netwright.model.wire import CAUSE_UNPLUGGED, ReportStatus
from netwright.server.commands import (
    ActivateBinding,
    ChangeBinding,
    Command,
    CreateNetworks,
    DeleteBinding,
    DeleteHost,
    FenceHost,
    NetworkDraft,
    PrepareBinding,
    Tick,
)
from netwright.server.ports.lifecycle import due_at

NOVA = "compute:nova"
PREPARING, UP, DOWN = BindingState.PREPARING, BindingState.UP, BindingState.DOWN
WITHDRAWING, REFUSED = BindingState.WITHDRAWING, BindingState.REFUSED


@pytest.fixture
def store(place: Place) -> Iterator[Store]:
    """Port "a" is up on h1; h2 and h3 are there."""
    store = Store(place)
    store.make_network()
    for host in ("h1", "h2", "h3"):
        store.do(register(host))
    store.do(create("a", host="h1", device_owner=NOVA, profile={"from": "h1"}))
    tell(store, "h1", ReportStatus.UP)
    yield store
    store.close()


def the(store: Store) -> Port:
    port = store.port("a")
    assert port is not None
    return port


def on(store: Store, host: str) -> Binding:
    binding = the(store).binding_on(host)
    assert binding is not None
    return binding


def tell(store: Store, host: str, status: ReportStatus, cause: str = "") -> None:
    """The host's agent reports of its binding, by that binding's generation."""
    made = report(the(store), host, status, cause)
    store.do(reports(host, replace(made, generation=on(store, host).generation)))


def prepare(host: str = "h2", **given: Any) -> Command:
    return PrepareBinding(caller=ADMIN, port_id="a", host=host, **given)


def change(host: str, **given: Any) -> Command:
    return ChangeBinding(caller=ADMIN, port_id="a", host=host, **given)


def activate(host: str = "h2") -> Command:
    return ActivateBinding(caller=ADMIN, port_id="a", host=host)


def remove(host: str) -> Command:
    return DeleteBinding(caller=ADMIN, port_id="a", host=host)


def roles(store: Store) -> dict[str, tuple[BindingState, bool, bool]]:
    """Each host's binding: its state, whether it is active, whether it was asked for ahead."""
    return {
        each.host: (each.state, each.active, each.prepared is not None)
        for each in the(store).bindings
    }


def test_a_live_migration(store: Store) -> None:
    """Two hosts are never the port's at once; the one that it leaves stays till it is deleted."""
    before = the(store)
    (port,) = store.do(prepare(profile={"to": "h2"}))
    assert roles(store) == {"h1": (UP, True, False), "h2": (PREPARING, False, True)}
    assert (port.state, port.profile) == (PortState.ACTIVE, {"from": "h1"})
    tell(store, "h2", ReportStatus.UP)  # its device is there, and silent
    assert (the(store).state, on(store, "h1")) == (PortState.ACTIVE, before.bindings[0])

    (port,) = store.do(activate())
    assert roles(store) == {"h1": (WITHDRAWING, False, True), "h2": (PREPARING, True, False)}
    assert (port.state, port.profile) == (PortState.MOVING, {"to": "h2"})
    assert on(store, "h1").prepared == Prepared(profile={"from": "h1"})

    tell(store, "h1", ReportStatus.WITHDRAWN)
    assert roles(store) == {"h1": (PREPARING, False, True), "h2": (PREPARING, True, False)}
    assert the(store).state is PortState.WIRING
    tell(store, "h2", ReportStatus.UP)
    assert the(store).state is PortState.ACTIVE

    store.do(remove("h1"))
    assert roles(store) == {"h2": (UP, True, False)}
    assert the(store).state is PortState.ACTIVE
    assert [(each.event, each.host) for each in store.history("a")][2:] == [
        ("prepare", "h2"),
        ("plane_up", "h2"),
        ("activate", "h2"),
        ("withdrawn", "h1"),
        ("plane_up", "h2"),
        ("unbind", "h1"),
    ]
    assert store.do(delete("a")) == ()
    tell(store, "h2", ReportStatus.WITHDRAWN)
    assert store.port("a") is None


def test_a_migration_that_fails_leaves_the_port_where_it_was(store: Store) -> None:
    """Nothing withdraws, for which the active binding would be kept silent."""
    before = the(store)
    store.do(prepare())
    tell(store, "h2", ReportStatus.UP)
    store.do(Tick(caller=ADMIN, silent_hosts=("h2",)))
    store.do(remove("h2"))
    assert the(store).bindings == before.bindings
    assert the(store).state is PortState.ACTIVE
    attachments = store.rows("SELECT host FROM attachment")
    assert attachments == [("h1",)]


def test_a_standby_waits_for_hours_and_its_deadline_starts_at_activation(store: Store) -> None:
    store.do(prepare())
    store.do(see("h2", "a"))
    assert on(store, "h2").device_seen_at == store.now
    assert due_at(on(store, "h2")) is None
    store.now += 7_200.0
    assert store.overdue_ports() == ()
    store.do(activate())
    assert due_at(on(store, "h2")) == store.now + 60.0
    store.now += 61.0
    assert store.overdue_ports() == ("a",)
    store.do(Tick(caller=ADMIN, overdue_ports=("a",)))
    assert the(store).state is PortState.ERROR
    assert "host h1 has not confirmed that it withdrew the port" in the(store).cause
    tell(store, "h1", ReportStatus.WITHDRAWN)
    tell(store, "h2", ReportStatus.UP)
    assert the(store).state is PortState.ACTIVE


def test_a_standby_whose_device_goes_stays_one(store: Store) -> None:
    store.do(prepare())
    tell(store, "h2", ReportStatus.UP)
    tell(store, "h2", ReportStatus.DOWN, CAUSE_UNPLUGGED)
    assert roles(store)["h2"] == (DOWN, False, True)
    assert on(store, "h2").device_seen_at is None
    store.do(activate())
    assert due_at(on(store, "h2")) is None, "it waits for its device, however long that takes"


def test_activated_back_before_it_was_withdrawn(store: Store) -> None:
    store.do(prepare(profile={"to": "h2"}))
    store.do(activate())
    (port,) = store.do(activate("h1"))
    assert roles(store) == {"h1": (PREPARING, True, False), "h2": (WITHDRAWING, False, True)}
    assert port.profile == {"from": "h1"}
    assert on(store, "h1").stale_wiring, "it was not proven withdrawn"
    old = replace(report(port, "h1", ReportStatus.WITHDRAWN), generation=1)
    store.do(reports("h1", old))
    assert roles(store)["h1"] == (PREPARING, True, False), "that was another generation's"
    tell(store, "h2", ReportStatus.WITHDRAWN)
    tell(store, "h1", ReportStatus.UP)
    assert the(store).state is PortState.ACTIVE


@pytest.mark.parametrize("proof", ["absent", "fenced"])
def test_the_host_that_it_leaves_is_proven_clean_or_waited_for(store: Store, proof: str) -> None:
    store.do(prepare())
    store.do(activate())
    store.do(Tick(caller=ADMIN, silent_hosts=("h1",)))
    assert the(store).state is PortState.MOVING, "silence proves nothing"
    if proof == "absent":
        store.do(reports("h1", full_set_at=store.cursor()))
        assert roles(store)["h1"] == (PREPARING, False, True)
    else:
        store.do(FenceHost(caller=ADMIN, host="h1", reason="power is off"))
        assert roles(store)["h1"] == (REFUSED, False, True)
        assert "host h1 is fenced" in on(store, "h1").cause
    assert the(store).state is PortState.WIRING


def test_deleted_while_it_withdraws_it_withdraws_on(store: Store) -> None:
    store.do(prepare())
    store.do(activate())
    store.do(remove("h1"))
    assert roles(store)["h1"] == (WITHDRAWING, False, False)
    with pytest.raises(PortBindingNotFound):
        store.do(remove("h1"))
    store.do(prepare("h1", profile={"again": True}))
    assert roles(store)["h1"] == (WITHDRAWING, False, True)
    tell(store, "h1", ReportStatus.WITHDRAWN)
    assert on(store, "h1").prepared == Prepared(profile={"again": True})


def test_the_active_one_can_be_deleted_too(store: Store) -> None:
    store.do(prepare())
    store.do(remove("h1"))
    assert roles(store) == {"h1": (WITHDRAWING, False, False), "h2": (PREPARING, False, True)}
    assert the(store).state is PortState.ALLOCATED
    store.do(activate())
    assert the(store).state is PortState.MOVING


def test_a_port_without_a_host(store: Store) -> None:
    """Nothing of it answers before the activation, so its addresses need no rest before that."""
    store.do(create("b", device_owner=NOVA))
    store.do(PrepareBinding(caller=ADMIN, port_id="b", host="h2"))
    store.do(delete("b"))
    assert "b" not in store.holders().values()
    assert None not in store.holders().values()
    (port,) = store.do(create("c", device_owner=NOVA))
    store.do(PrepareBinding(caller=ADMIN, port_id="c", host="h2"))
    (port,) = store.do(ActivateBinding(caller=ADMIN, port_id="c", host="h2"))
    assert (port.state, port.ever_bound) == (PortState.WIRING, True)


def test_wired_ahead_where_it_is_asked_for_it_is_silenced_first(store: Store) -> None:
    store.do(create("b", device_owner=NOVA))
    (ahead,) = store.do(see("h2", "b")).ports
    store.do(reports("h2", report(ahead, "h2", ReportStatus.UP)))
    (port,) = store.do(PrepareBinding(caller=ADMIN, port_id="b", host="h2"))
    (binding,) = port.bindings
    assert (binding.state, binding.prepared) == (WITHDRAWING, Prepared())


def test_wired_ahead_elsewhere_it_is_withdrawn_at_activation(store: Store) -> None:
    store.do(create("b", device_owner=NOVA))
    store.do(see("h1", "b"))
    (port,) = store.do(PrepareBinding(caller=ADMIN, port_id="b", host="h2"))
    assert [each.state for each in port.bindings] == [PREPARING, PREPARING]
    (port,) = store.do(ActivateBinding(caller=ADMIN, port_id="b", host="h2"))
    assert port.state is PortState.MOVING
    assert port.binding_on("h1") is not None
    assert [(each.host, each.state, each.prepared) for each in port.bindings] == [
        ("h1", WITHDRAWING, None),
        ("h2", PREPARING, None),
    ]


def test_many_standbys_and_another_host_for_the_port_ends_them(store: Store) -> None:
    store.do(prepare("h2"))
    store.do(prepare("h3"))
    store.do(activate("h2"))
    assert roles(store)["h3"] == (PREPARING, False, True), "the others stay"
    store.do(update("a", host="h3"))
    assert roles(store) == {
        "h1": (WITHDRAWING, False, False),
        "h2": (WITHDRAWING, False, False),
        "h3": (PREPARING, True, False),
    }


@pytest.mark.parametrize("how", ["unbind", "delete"])
def test_unbound_or_deleted_it_leaves_no_standby(store: Store, how: str) -> None:
    store.do(prepare("h2"))
    store.do(update("a", host="") if how == "unbind" else delete("a"))
    assert roles(store) == {"h1": (WITHDRAWING, False, False)}


def test_an_address_that_goes_leaves_no_remnant_with_a_standby(store: Store) -> None:
    store.do(prepare())
    tell(store, "h2", ReportStatus.UP)
    store.do(update("a", fixed_ips=()))
    assert on(store, "h1").remnant is not None
    assert on(store, "h2").remnant is None


def test_another_vnic_type_plans_it_anew_and_takes_effect_at_activation(store: Store) -> None:
    store.do(prepare())
    store.do(change("h2", profile={"x": 1}))
    generation = on(store, "h2").generation
    store.do(change("h2", vnic_type=VnicType.BAREMETAL))
    standby = on(store, "h2")
    assert standby.generation > generation
    assert (standby.state, standby.vif_type) == (UP, VifType.OTHER)
    assert standby.prepared == Prepared(vnic_type=VnicType.BAREMETAL, profile={"x": 1})
    assert the(store).vnic_type is VnicType.NORMAL
    (port,) = store.do(activate())
    assert (port.vnic_type, port.profile) == (VnicType.BAREMETAL, {"x": 1})
    assert on(store, "h2").state is UP, "nobody wires it"


def test_the_active_ones_profile_is_its_ports(store: Store) -> None:
    (port,) = store.do(change("h1", profile={"new": 1}))
    assert port.profile == {"new": 1}
    with pytest.raises(InvalidInput, match="bound to a host"):
        store.do(change("h1", vnic_type=VnicType.BAREMETAL))


def test_what_a_standby_needs_cannot_be_changed_under_it(store: Store) -> None:
    store.do(prepare())
    store.do(remove("h1"))
    with pytest.raises(InvalidInput, match="device_owner"):
        store.do(update("a", device_owner="network:virtual_ip"))


def test_a_standby_is_refused_while_its_host_is_fenced_and_tried_again(store: Store) -> None:
    store.do(prepare())
    store.do(FenceHost(caller=ADMIN, host="h2", reason="power is off"))
    assert roles(store)["h2"] == (BindingState.FENCED, False, True)
    (port,) = store.do(activate())
    assert port.state is PortState.DEGRADED, "Nova's guest runs there: it is not refused"


@pytest.mark.parametrize(
    ("command", "error"),
    [
        (prepare("h1"), PortBindingAlreadyExists),
        (prepare("h9"), PortBindingError),
        (activate("h1"), PortBindingAlreadyActive),
        (activate("h2"), PortBindingNotFound),
        (change("h2", profile={}), PortBindingNotFound),
        (remove("h2"), PortBindingNotFound),
        (PrepareBinding(caller=ADMIN, port_id="x", host="h2"), PortNotFound),
        (ActivateBinding(caller=ADMIN, port_id="x", host="h2"), PortNotFound),
        (DeleteBinding(caller=ADMIN, port_id="x", host="h2"), PortNotFound),
    ],
)
def test_what_cannot_be(store: Store, command: Command, error: type[NetwrightError]) -> None:
    before = the(store)
    with pytest.raises(error):
        store.do(command)
    assert the(store) == before


def test_once_is_enough(store: Store) -> None:
    store.do(prepare())
    with pytest.raises(PortBindingAlreadyExists):
        store.do(prepare())


def test_why_a_host_cannot_serve_it_is_said(store: Store) -> None:
    with pytest.raises(PortBindingError, match=r"host h9 is not registered"):
        store.do(prepare("h9"))
    segment = Segment(network_type=NetworkType.VXLAN, segmentation_id=7)
    draft = NetworkDraft(id="overlay", project_id="p", segment=segment)
    store.do(CreateNetworks(caller=ADMIN, drafts=(draft,)))
    store.do(create("v", "overlay", fixed_ips=(), device_owner=NOVA))
    with pytest.raises(PortBindingError, match="the inventory knows no link of host"):
        store.do(PrepareBinding(caller=ADMIN, port_id="v", host="h2"))
    port = store.port("v")
    assert port is not None
    assert port.bindings == ()


def test_a_host_that_is_deleted_takes_its_standbys_along_and_nothing_else(store: Store) -> None:
    gone = {host: DeleteHost(caller=ADMIN, host=host) for host in ("h1", "h2")}
    store.do(prepare())
    store.do(Tick(caller=ADMIN, silent_hosts=("h1", "h2")))
    store.do(gone["h2"])
    assert roles(store) == {"h1": (UP, True, False)}
    assert the(store).state is PortState.ACTIVE
    with pytest.raises(HostInUse, match="1 bindings of ports stand there"):
        store.do(gone["h1"])
    attachments = store.rows("SELECT host FROM attachment")
    assert attachments == [("h1",)]


def test_a_host_that_is_silent_lets_no_instance_move_away(store: Store) -> None:
    """It would be cut off there: its old host cannot show that it has withdrawn the port."""
    store.do(Tick(caller=ADMIN, silent_hosts=("h1",)))
    with pytest.raises(PortBindingError, match="host h1, which it would leave, is silent"):
        store.do(prepare())
    store.do(FenceHost(caller=ADMIN, host="h1", reason="power is off"))
    store.do(prepare())


def test_only_an_instances_port_is_on_several_hosts(store: Store) -> None:
    store.do(prepare())
    store.do(update("a", device_owner="network:dhcp"))
    for command in (prepare("h3"), change("h2", profile={}), activate()):
        with pytest.raises(BadRequest, match="only valid on compute ports"):
            store.do(command)
    store.do(remove("h2"))
