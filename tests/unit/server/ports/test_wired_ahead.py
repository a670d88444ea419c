"""A device that is plugged before its port was ever bound: wired ahead, and known to be (law 5)."""

from collections.abc import Iterator

import pytest
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

from netwright.model.resources import Binding, Port
from netwright.model.states import BindingState, PortState
from netwright.model.wire import ReportStatus
from netwright.server.commands import FenceHost, Tick


@pytest.fixture
def store(place: Place) -> Iterator[Store]:
    store = Store(place)
    store.make_network()
    store.do(register("h1"))
    store.do(register("h2"))
    store.do(create("a"))
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


def test_the_first_host_with_the_device_is_offered_the_port(store: Store) -> None:
    (port,) = store.do(see("h1", "a")).ports
    (ahead,) = port.bindings
    assert (ahead.host, ahead.active, ahead.state) == ("h1", False, BindingState.PREPARING)
    store.do(reports("h1", report(port, "h1", ReportStatus.UP)))
    assert on(store, "h1").state is BindingState.UP
    assert the(store).state is PortState.ALLOCATED, "it has no host yet, whatever is wired"
    assert store.do(see("h2", "a")).ports == (), "two would both answer for it"


def test_a_port_that_was_bound_once_is_not_offered(store: Store) -> None:
    """Its device may be a leftover, and its address may come up elsewhere at any moment."""
    store.do(update("a", host="h2"))
    store.do(update("a", host=""))
    store.do(reports("h2", report(the(store), "h2", ReportStatus.WITHDRAWN)))
    assert store.do(see("h1", "a")).ports == ()


@pytest.mark.parametrize("why", ["fenced", "no such network", "no device on any host"])
def test_a_port_that_the_host_cannot_serve_is_not_offered(store: Store, why: str) -> None:
    port_id = "a"
    match why:
        case "fenced":
            store.do(FenceHost(caller=ADMIN, host="h1", reason="power is off"))
        case "no such network":
            store.make_network("other", 20)
            store.run(
                "UPDATE host SET body = replace(body, 'physnet1', 'physnet2') WHERE name = 'h1'"
            )
        case _:
            port_id = "virtual"
            store.do(create("virtual", device_owner="network:virtual_ip"))
    assert store.do(see("h1", port_id)).ports == ()


def test_bound_where_it_is_wired_it_waits_for_a_word_on_its_binding(store: Store) -> None:
    (port,) = store.do(see("h1", "a")).ports
    store.do(reports("h1", report(port, "h1", ReportStatus.UP)))
    (bound,) = store.do(update("a", host="h1"))
    assert (bound.state, len(bound.bindings)) == (PortState.WIRING, 1)
    assert bound.bindings[0].generation > port.generation
    store.do(reports("h1", report(bound, "h1", ReportStatus.UP)))
    assert the(store).state is PortState.ACTIVE


@pytest.mark.parametrize("proof", ["withdrawn", "absent", "fenced"])
def test_bound_elsewhere_it_comes_up_only_when_the_first_host_is_proven_clean(
    store: Store, proof: str
) -> None:
    (port,) = store.do(see("h1", "a")).ports
    store.do(Tick(caller=ADMIN, silent_hosts=("h1",)))
    (moving,) = store.do(update("a", host="h2"))
    assert moving.state is PortState.MOVING
    assert on(store, "h1").state is BindingState.WITHDRAWING
    store.now += 3_600.0
    store.do(Tick(caller=ADMIN))
    assert the(store).state is PortState.MOVING, "silence proves nothing"
    match proof:
        case "withdrawn":
            store.do(reports("h1", report(port, "h1", ReportStatus.WITHDRAWN)))
        case "absent":
            store.do(reports("h1", full_set_at=store.cursor()))
        case _:
            store.do(FenceHost(caller=ADMIN, host="h1", reason="power is off"))
    assert (the(store).state, len(the(store).bindings)) == (PortState.WIRING, 1)
    store.do(reports("h2", report(the(store), "h2", ReportStatus.UP)))
    assert the(store).state is PortState.ACTIVE


@pytest.mark.parametrize("proof", ["withdrawn", "fenced"])
def test_deleted_it_is_released_only_when_the_host_is_proven_clean(
    store: Store, proof: str
) -> None:
    (port,) = store.do(see("h1", "a")).ports
    store.do(Tick(caller=ADMIN, silent_hosts=("h1",)))
    store.do(delete("a"))
    assert the(store).state is PortState.RELEASING
    assert list(store.holders().values()) == ["a"]
    if proof == "withdrawn":
        store.do(reports("h1", report(port, "h1", ReportStatus.WITHDRAWN)))
    else:
        store.do(FenceHost(caller=ADMIN, host="h1", reason="power is off"))
    assert store.port("a") is None
    assert list(store.holders().values()) == [None], "it was wired, so it rests"


def test_a_device_that_goes_takes_its_binding_with_it(store: Store) -> None:
    """By the agent's word alone: until it hears of it, it wires the device should it come back."""
    (port,) = store.do(see("h1", "a")).ports
    store.do(reports("h1", report(port, "h1", ReportStatus.DOWN, "unplugged")))
    assert on(store, "h1").state is BindingState.WITHDRAWING
    assert [each.event for each in store.history("a")] == ["device_seen", "unplugged"]
    store.do(reports("h1", report(port, "h1", ReportStatus.WITHDRAWN)))
    assert the(store).bindings == ()
    (again,) = store.do(see("h2", "a")).ports
    assert [binding.host for binding in again.bindings] == ["h2"]


def test_a_fenced_offer_leaves_no_doubt_behind(store: Store) -> None:
    store.do(see("h1", "a"))
    store.do(FenceHost(caller=ADMIN, host="h1", reason="power is off"))
    store.do(update("a", host="h1"))
    store.do(delete("a"))
    assert store.port("a") is None
