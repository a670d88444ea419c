"""Bindings by their laws: what proves an address gone from a host, and what does not."""

from collections.abc import Iterator
from typing import Any

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
    update,
)

from netwright.model.errors import NetwrightError
from netwright.model.resources import NetworkType, Port, Segment, VifType, VnicType
from netwright.model.states import BindingState, PortState
from netwright.model.wire import ReportStatus
from netwright.server.commands import CreateNetworks, FenceHost, NetworkDraft, Tick


@pytest.fixture
def store(place: Place) -> Iterator[Store]:
    store = Store(place)
    store.make_network()
    store.do(register("h1"))
    store.do(register("h2"))
    yield store
    store.close()


def wired(store: Store, port_id: str, network: str = "net", **attributes: Any) -> Port:
    """A port that is up on h1."""
    (port,) = store.do(create(port_id, network, host="h1", **attributes))
    assert isinstance(port, Port)
    store.do(reports("h1", report(port, "h1", ReportStatus.UP)))
    return port


def holders(store: Store) -> list[str | None]:
    rows = store.rows("SELECT port_id FROM allocation ORDER BY address")
    return [holder for (holder,) in rows]


def test_a_silent_host_may_still_answer_for_a_port_bound_there_again(store: Store) -> None:
    wired(store, "a")
    store.do(update("a", host=""))
    store.do(Tick(caller=ADMIN, silent_hosts=("h1",)))
    (failed,) = store.do(update("a", host="h1"))
    assert failed.bindings[0].state is BindingState.REFUSED
    store.do(delete("a"))
    port = store.port("a")
    assert port is not None, "its address would rest, and come up elsewhere"
    assert port.bindings[0].state is BindingState.WITHDRAWING
    store.do(FenceHost(caller=ADMIN, host="h1", reason="power is off"))
    assert store.port("a") is None


def test_a_full_set_from_before_proves_nothing_of_a_port_unbound_in_the_same_batch(
    store: Store,
) -> None:
    (port,) = store.do(create("a", host="h1"))
    # The agent has heard of the port and not yet wired it; it does so as soon as it has reported.
    whole = reports("h1", full_set_at=store.cursor())
    store.batch(delete("a"), whole)
    assert store.port(port.id) is not None
    assert holders(store) == ["a"]


def test_a_full_set_proves_nothing_of_what_came_after_its_cursor(store: Store) -> None:
    before = store.cursor()
    wired(store, "a")
    store.do(delete("a"))
    store.do(reports("h1", full_set_at=before))
    assert holders(store) == ["a"]
    store.do(reports("h1", full_set_at=store.cursor()))
    assert holders(store) == [None]


def test_what_a_bound_port_needs_cannot_be_changed_under_it(store: Store) -> None:
    wired(store, "a")
    for change in ({"vnic_type": VnicType.BAREMETAL}, {"device_owner": "network:virtual_ip"}):
        with pytest.raises(NetwrightError, match="bound to a host"):
            store.do(update("a", **change))
    store.do(update("a", device_owner="compute:nova"))
    (moved,) = store.do(update("a", vnic_type=VnicType.BAREMETAL, host="rack7"))
    assert [binding.state for binding in moved.bindings] == [
        BindingState.WITHDRAWING,
        BindingState.UP,
    ]


def test_bare_metal_is_not_the_agents_to_withdraw(store: Store) -> None:
    (port,) = store.do(create("a", host="h1", vnic_type=VnicType.BAREMETAL))
    assert port.state is PortState.ACTIVE
    store.do(reports("h1", full_set_at=store.cursor()))
    (after,) = store.ports()
    assert after.bindings[0].state is BindingState.UP


def test_a_port_without_planes_is_up_when_its_host_comes(store: Store) -> None:
    store.do(create("a", host="h9", device_owner="network:router_interface"))
    store.do(register("h9"))
    (port,) = store.ports()
    assert (port.state, port.bindings[0].state) == (PortState.ACTIVE, BindingState.UP)


def test_a_network_that_nothing_carries_is_refused_at_binding_and_says_so(store: Store) -> None:
    segment = Segment(network_type=NetworkType.VXLAN, segmentation_id=7)
    draft = NetworkDraft(id="overlay", project_id="p", segment=segment)
    store.do(CreateNetworks(caller=ADMIN, drafts=(draft,)))
    store.do(register("h1"))
    (port,) = store.do(create("a", "overlay", fixed_ips=(), host="h1"))
    assert (port.state, port.bindings[0].vif_type) == (PortState.ERROR, VifType.BINDING_FAILED)
    assert port.cause == (
        "the inventory knows no link of host h1 to a leaf, which network overlay would come over: "
        "add its links (netwright topology apply)"
    )
