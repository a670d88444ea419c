"""A container's port leaves a host that is silent: its leaves prove that it no longer answers."""

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from tests.doubles.places import Place
from tests.doubles.store import (
    ADMIN,
    Store,
    create,
    delete,
    ipv4_subnet,
    register,
    report,
    reports,
    update,
)
from tests.unit.server.overlay_scene import attachments, fabric_store, hold_lease

from netwright.model.errors import HostInUse
from netwright.model.fabric import FabricReports, FenceReport
from netwright.model.resources import (
    FenceState,
    HostState,
    Network,
    NetworkType,
    Port,
    PortFence,
    Segment,
)
from netwright.model.states import BindingState, Event, PortState
from netwright.model.wire import CONTAINER_OWNER, Heartbeat, ReportOutcome, ReportStatus
from netwright.server.commands import (
    CreateNetworks,
    CreateSubnets,
    DeleteHost,
    FenceHost,
    HeartbeatHost,
    NetworkDraft,
    PairWish,
    Tick,
    UnfenceHost,
)
from netwright.server.fabric_commands import ApplyFabricReports
from netwright.server.ports.explain import explain
from netwright.server.store.upkeep import ports_left_behind

UP, DOWN, WITHDRAWN = ReportStatus.UP, ReportStatus.DOWN, ReportStatus.WITHDRAWN


@pytest.fixture
def store(place: Place) -> Iterator[Store]:
    store = fabric_store(place)
    hold_lease(store)
    yield store
    store.close()


def wired(store: Store, port_id: str = "x", owner: str = CONTAINER_OWNER) -> Port:
    """A container's port that is up on h1."""
    (port,) = store.do(create(port_id, "red", host="h1", device_owner=owner))
    store.do(reports("h1", report(port, "h1", UP)))
    return port_of(store, port_id)


def port_of(store: Store, port_id: str = "x") -> Port:
    port = store.port(port_id)
    assert port is not None
    return port


def bindings(store: Store, port_id: str = "x") -> dict[str, BindingState]:
    return {each.host: each.state for each in port_of(store, port_id).bindings}


def silence(store: Store, host: str = "h1") -> None:
    store.do(Tick(caller=ADMIN, silent_hosts=(host,)))


def left(store: Store, host: str = "h1") -> list[tuple[str, str]]:
    return list(store.place.run(ports_left_behind(store.place.tx, [host])))


def ask(store: Store, host: str = "h1") -> None:
    store.do(Tick(caller=ADMIN, silent_ports=tuple(left(store, host))))


def fence(store: Store, port_id: str = "x", host: str = "h1") -> PortFence | None:
    known = store.host(host)
    assert known is not None
    return known.fence_of(port_id)


def state(store: Store, port_id: str = "x", host: str = "h1") -> FenceState | None:
    found = fence(store, port_id, host)
    return found.state if found else None


def said(store: Store, status: ReportStatus, cause: str = "", **other: Any) -> ReportOutcome:
    """The controller's word about the fence of x at h1."""
    found = fence(store)
    values: dict[str, Any] = {
        "host": "h1",
        "port_id": "x",
        "generation": found.generation if found else 1,
        "status": status,
        "cause": cause,
    }
    told = FabricReports(token=hold_lease(store), fences=(FenceReport(**(values | other)),))
    outcome = store.do(ApplyFabricReports(caller=ADMIN, reports=told)).results[-1].result
    assert isinstance(outcome, ReportOutcome)
    return outcome


def hear(store: Store, host: str = "h1") -> None:
    store.do(HeartbeatHost(caller=ADMIN, host=host, heartbeat=Heartbeat(epoch="life1")))


def clean(store: Store, generation: int | None = None) -> None:
    """The agent of h1: nothing of x is wired there."""
    found = fence(store)
    assert found is not None
    port = Port(
        id="x",
        project_id="p",
        network_id="red",
        mac_address="",
        generation=found.generation if generation is None else generation,
        state_since=0.0,
        created_at=0.0,
        updated_at=0.0,
    )
    store.do(reports("h1", report(port, "h1", WITHDRAWN)))


def drifted(store: Store) -> Port:
    """X was up on h1, which is silent, and is bound to h3; its fence is asked for."""
    before = wired(store)
    silence(store)
    store.do(update("x", host="h3"))
    ask(store)
    return before


def test_the_new_host_waits_until_the_leaves_of_the_silent_one_drop_the_port(store: Store) -> None:
    before = drifted(store)
    found = fence(store)
    assert found == PortFence(
        port_id="x",
        generation=before.generation,
        macs=(before.mac_address,),
        addresses=(before.fixed_ips[0].ip_address,),
        asked_at=store.now,
        since=store.now,
    )
    waiting = {"h1": BindingState.WITHDRAWING, "h3": BindingState.PREPARING}
    assert bindings(store) == waiting
    assert said(store, DOWN, "switch leaf2 does not answer") is ReportOutcome.APPLIED
    assert bindings(store) == waiting
    assert said(store, UP) is ReportOutcome.APPLIED
    assert bindings(store) == {"h3": BindingState.PREPARING}
    assert state(store) is FenceState.VERIFIED
    assert port_of(store).state is PortState.WIRING
    events = [(each.event, each.actor, each.host) for each in store.history("x")][-2:]
    assert events == [
        (Event.HOST_UNKNOWN, "server", "h1"),
        (Event.HOST_FENCED, "fabric", "h1"),
    ]


def test_a_move_that_waits_when_its_host_falls_silent_is_proven_as_well(store: Store) -> None:
    wired(store)
    store.do(update("x", host="h3"))
    ask(store)
    assert state(store) is None, "the host is heard: its own word is waited for"
    silence(store)
    ask(store)
    assert state(store) is FenceState.ASKED


def test_asking_again_changes_nothing(store: Store) -> None:
    drifted(store)
    written = len(store.events)
    ask(store)
    assert len(store.events) == written


def test_others_are_not_fenced_by_themselves(store: Store) -> None:
    """A Nova's instance, a deleted port, a port without a new host: their rules stay."""
    wired(store, "vm", "compute:nova")
    for name in ("gone", "unbound"):
        wired(store, name)
    silence(store)
    store.do(update("vm", host="h3"))
    store.do(update("unbound", host=""))
    store.do(delete("gone"))
    assert left(store) == []
    every = tuple((name, "h1") for name in ("vm", "gone", "unbound", "nobody"))
    store.do(Tick(caller=ADMIN, silent_ports=(*every, ("vm", "nowhere"))))
    host = store.host("h1")
    assert host is not None
    assert host.port_fences == ()


def test_without_a_fabric_nobody_is_asked(store: Store) -> None:
    segment = Segment(network_type=NetworkType.VLAN, physical_network="physnet1", segmentation_id=9)
    draft = NetworkDraft(id="wire", project_id="p", segment=segment)
    store.do(CreateNetworks(caller=ADMIN, drafts=(draft,)))
    store.do(CreateSubnets(caller=ADMIN, drafts=(ipv4_subnet("wire", "10.9.0.0/24"),)))
    (port,) = store.do(create("x", "wire", host="h1", device_owner=CONTAINER_OWNER))
    store.do(reports("h1", report(port, "h1", UP)))
    silence(store)
    store.do(update("x", host="h3"))
    assert left(store) == []
    store.do(Tick(caller=ADMIN, silent_ports=(("x", "h1"),)))
    assert state(store) is None
    assert "no fabric carries its network" in explained(store, "wire")


def test_it_is_lifted_by_its_agents_word_and_gone_when_no_leaf_has_it(store: Store) -> None:
    drifted(store)
    said(store, UP)
    hear(store)
    assert state(store) is FenceState.VERIFIED, "being heard is not being clean"
    assert said(store, WITHDRAWN) is ReportOutcome.STALE
    clean(store)
    assert state(store) is FenceState.LIFTING
    assert said(store, UP) is ReportOutcome.STALE
    assert said(store, WITHDRAWN) is ReportOutcome.APPLIED
    assert state(store) is None
    assert said(store, WITHDRAWN) is ReportOutcome.UNKNOWN


def test_an_agent_that_is_back_before_the_leaves_proves_it_itself(store: Store) -> None:
    drifted(store)
    hear(store)
    clean(store)
    assert bindings(store) == {"h3": BindingState.PREPARING}
    assert state(store) is FenceState.LIFTING


def test_a_word_about_an_earlier_binding_lifts_nothing(store: Store) -> None:
    before = drifted(store)
    clean(store, before.generation - 1)
    assert state(store) is FenceState.ASKED
    assert said(store, UP, generation=before.generation - 1) is ReportOutcome.STALE
    assert bindings(store)["h1"] is BindingState.WITHDRAWING


def test_a_leaf_that_lost_it_makes_it_unproven_again(store: Store) -> None:
    drifted(store)
    said(store, UP)
    assert said(store, DOWN, "leaf1/h1 lets it through") is ReportOutcome.APPLIED
    found = fence(store)
    assert found is not None
    assert (found.state, found.cause) == (FenceState.ASKED, "leaf1/h1 lets it through")


def test_a_port_that_is_deleted_meanwhile_rests_from_the_proof_on(store: Store) -> None:
    before = drifted(store)
    store.do(delete("x"))
    store.do(reports("h3", report(port_of(store), "h3", WITHDRAWN)))
    held = "SELECT port_id, rests_until FROM allocation WHERE port_id = 'x'"
    assert store.rows(held) == [("x", None)]
    store.now += 500
    said(store, UP)
    assert store.port("x") is None
    ((port_id, until),) = store.rows("SELECT port_id, rests_until FROM allocation")
    assert port_id is None
    assert until > store.now
    assert state(store) is FenceState.VERIFIED, "the host may speak as it all the same"
    clean(store, before.generation)
    assert state(store) is FenceState.LIFTING


def test_a_port_that_goes_on_to_a_third_host_needs_no_second_proof(store: Store) -> None:
    drifted(store)
    said(store, UP)
    store.do(update("x", host="h4"))
    assert "h1" not in bindings(store)
    assert state(store) is FenceState.VERIFIED


def test_back_at_a_host_that_is_still_silent_it_leaves_it_again_at_once(store: Store) -> None:
    """Bound there it was refused; the leaves drop it all the while."""
    drifted(store)
    said(store, UP)
    store.do(update("x", host="h1"))
    assert bindings(store)["h1"] is BindingState.REFUSED
    store.do(reports("h3", report(port_of(store), "h3", WITHDRAWN)))
    store.do(update("x", host="h4"))
    ask(store)
    assert "h1" not in bindings(store)


def test_one_host_that_is_fenced_as_a_whole_needs_no_proof_of_single_ports(store: Store) -> None:
    drifted(store)
    store.do(FenceHost(caller=ADMIN, host="h1", reason="dead"))
    assert bindings(store) == {"h3": BindingState.PREPARING}
    assert state(store) is FenceState.ASKED
    store.do(UnfenceHost(caller=ADMIN, host="h1"))
    assert state(store) is FenceState.LIFTING


def test_an_operators_word_lifts_what_a_host_never_gives_up(store: Store) -> None:
    drifted(store)
    said(store, UP)
    store.do(UnfenceHost(caller=ADMIN, host="h1"))
    assert state(store) is FenceState.LIFTING
    host = store.host("h1")
    assert host is not None
    assert host.state is HostState.UNKNOWN


def test_it_outlives_its_agents_restart(store: Store) -> None:
    drifted(store)
    said(store, UP)
    store.do(register("h1", epoch="life2"))
    assert state(store) is FenceState.VERIFIED


def test_what_the_host_may_say_of_others_by_leave_is_dropped_too(store: Store) -> None:
    (port,) = store.do(
        create(
            "x",
            "red",
            host="h1",
            device_owner=CONTAINER_OWNER,
            allowed_address_pairs=(
                PairWish(ip_address="10.0.0.99"),
                PairWish(ip_address="10.0.2.0/24", mac_address="02:00:00:00:00:99"),
            ),
        )
    )
    store.do(reports("h1", report(port, "h1", UP)))
    silence(store)
    store.do(update("x", host="h3"))
    ask(store)
    found = fence(store)
    assert found is not None
    assert found.macs == (port.mac_address, "02:00:00:00:00:99")
    assert set(found.addresses) == {port.fixed_ips[0].ip_address, "10.0.0.99"}


def test_it_is_explained_which_leaf_is_waited_for(store: Store) -> None:
    drifted(store)
    said(store, DOWN, "switch leaf2 does not answer: no route to it")
    text = explained(store)
    assert "leaves do not yet drop what it says as this port" in text
    assert "switch leaf2 does not answer: no route to it" in text
    assert "netwright host fence h1" in text
    store.do(update("x", host="h1"))
    assert "The leaves of host h1 drop it, which it had left while that was silent" in explained(
        store
    )


def explained(store: Store, network_id: str = "red") -> str:
    ((body,),) = store.rows("SELECT body FROM network WHERE id = $1", network_id)
    hosts = {name: host for name in ("h1", "h3") if (host := store.host(name)) is not None}
    of = {host: each for (_, host), each in attachments(store).items()}
    network = msgspec.json.decode(body, type=Network)
    return explain(port_of(store), network, hosts, of, store.now).text


def test_a_host_whose_leaves_drop_a_port_is_not_forgotten_before_it_is_dead_or_clean(
    store: Store,
) -> None:
    """With it its fences went, and nobody has said that it is dead."""
    drifted(store)
    said(store, UP)
    assert bindings(store) == {"h3": BindingState.PREPARING}
    with pytest.raises(HostInUse, match="drop what it may still say as 1 ports") as refused:
        store.do(DeleteHost(caller=ADMIN, host="h1"))
    assert "host fence h1" in refused.value.next
    assert "host unfence h1" in refused.value.next
    store.do(FenceHost(caller=ADMIN, host="h1", reason="it burns"))
    store.do(DeleteHost(caller=ADMIN, host="h1"))
    assert store.host("h1") is None
