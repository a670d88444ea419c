"""Hosts: when they were heard, since when they say what, and what is the operators' word."""

from collections.abc import Iterator

import pytest
from tests.doubles.places import Place
from tests.doubles.store import (
    ADMIN,
    Store,
    addresses,
    create,
    delete,
    register,
    report,
    reports,
    update,
)

from netwright.model.errors import HostInUse, HostNotFound
from netwright.model.resources import Host, HostState
from netwright.model.wire import Heartbeat, Kind, ReportStatus
from netwright.server.commands import (
    DeleteHost,
    FenceHost,
    HeartbeatHost,
    PairWish,
    Tick,
    UnfenceHost,
)


@pytest.fixture
def store(place: Place) -> Iterator[Store]:
    store = Store(place)
    store.do(register("h1"))
    yield store
    store.close()


def beat(store: Store, **conditions: str) -> Host:
    heartbeat = Heartbeat(epoch="life1", conditions=conditions)
    host = store.do(HeartbeatHost(caller=ADMIN, host="h1", heartbeat=heartbeat))
    assert isinstance(host, Host)
    return host


def stored(store: Store) -> Host:
    host = store.host("h1")
    assert host is not None
    return host


def test_a_silent_host_was_last_heard_when_it_was_last_heard(store: Store) -> None:
    store.now = 9_000.0
    store.do(Tick(caller=ADMIN, silent_hosts=("h1",), heard={"h1": 8_980.5}))
    assert (stored(store).state, stored(store).heard_at) == (HostState.UNKNOWN, 8_980.5)


def test_what_an_earlier_process_heard_stands_until_the_host_is_heard(store: Store) -> None:
    store.now = 9_000.0
    store.do(Tick(caller=ADMIN, silent_hosts=("h1",)))
    assert (stored(store).state, stored(store).heard_at) == (HostState.UNKNOWN, 1_000.0)


def test_noting_when_a_host_was_heard_is_no_change(store: Store) -> None:
    before = len(store.events)
    store.do(Tick(caller=ADMIN, heard={"h1": 2_000.0, "h2": 1_000.0}))
    assert store.heard() == {"h1": 2_000.0, "h2": 1_000.0}
    store.do(Tick(caller=ADMIN, heard={"h1": 1_500.0}))  # of another process, late
    assert store.heard() == {"h1": 2_000.0, "h2": 1_000.0}
    assert len(store.events) == before


def test_a_condition_has_begun_when_it_was_first_told(store: Store) -> None:
    store.now = 1_010.0
    beat(store, **{"redundancy lost": "eth0"})
    store.now = 1_020.0
    host = beat(store, **{"redundancy lost": "eth0, eth1", "wiring failed": "no br-int"})
    assert host.conditions_since == {"redundancy lost": 1_010.0, "wiring failed": 1_020.0}
    store.now = 1_030.0
    store.do(register("h1", epoch="life1"))
    assert stored(store).conditions_since == host.conditions_since
    assert beat(store).conditions_since == {}


def test_a_fences_reason_stands_whatever_the_agent_says(store: Store) -> None:
    store.now = 1_040.0
    store.do(FenceHost(caller=ADMIN, host="h1", reason="burnt"))
    host = beat(store, fenced="not at all", **{"redundancy lost": "eth0"})
    assert host.conditions == {"fenced": "burnt", "redundancy lost": "eth0"}
    assert host.conditions_since["fenced"] == 1_040.0
    store.do(UnfenceHost(caller=ADMIN, host="h1"))
    assert stored(store).conditions == {"redundancy lost": "eth0"}
    assert beat(store, fenced="by myself").conditions == {}


def test_a_fenced_host_keeps_what_its_leaves_are_to_drop(store: Store) -> None:
    """All that it may still answer for: also what its port has given up, and what goes there."""
    store.do(register("h2"))
    store.make_network()
    one, going, _ = (store.do(create(name, host="h1"))[0] for name in ("a", "b", "c"))
    store.do(create("d"))
    for port in (one, going):
        store.do(reports("h1", report(port, "h1", ReportStatus.UP)))
    store.do(update("a", mac_address="02:00:00:00:00:99"))
    store.do(update("b", host="h2"))
    store.do(FenceHost(caller=ADMIN, host="h1", reason="burnt"))
    dropped = stored(store).fenced_ports
    said = {(each.port_id, each.mac_address): each.addresses for each in dropped}
    own = tuple(addresses([one]))
    assert said["a", one.mac_address] == said["a", "02:00:00:00:00:99"] == own
    assert said["b", going.mac_address] == tuple(addresses([going]))
    assert {each.port_id for each in dropped} == {"a", "b", "c"}
    store.do(delete("a"))
    store.do(register("h1", epoch="life2"))
    assert stored(store).fenced_ports == dropped
    store.do(UnfenceHost(caller=ADMIN, host="h1"))
    assert stored(store).fenced_ports == ()


def test_leaves_drop_what_a_fenced_hosts_ports_may_use_by_leave_as_well(store: Store) -> None:
    """Of a CIDR only its MAC: whoever had one of a million addresses there is known by that."""
    store.make_network()
    shared = PairWish(ip_address="10.1.0.200", mac_address="00:00:5e:00:01:07")
    whole = PairWish(ip_address="10.2.0.0/16", mac_address="02:00:00:00:00:42")
    own = PairWish(ip_address="fd00::200")
    wishes = (shared, whole, own)
    (port,) = store.do(create("a", host="h1", allowed_address_pairs=wishes))
    store.do(FenceHost(caller=ADMIN, host="h1", reason="burnt"))
    dropped = stored(store).fenced_ports
    assert {each.mac_address for each in dropped} == {
        port.mac_address, "00:00:5e:00:01:07", "02:00:00:00:00:42",
    }  # fmt: skip
    assert {each.addresses for each in dropped} == {
        tuple(sorted((*addresses([port]), "10.1.0.200", "fd00::200")))
    }


def deleted(store: Store) -> object:
    return store.do(DeleteHost(caller=ADMIN, host="h1"))


def test_a_host_goes_when_it_is_silent_and_nothing_stands_there(store: Store) -> None:
    store.make_network()
    with pytest.raises(HostInUse, match="its agent is heard"):
        deleted(store)
    ports = [store.do(create(name, host="h1"))[0] for name in ("a", "b")]
    store.do(Tick(caller=ADMIN, silent_hosts=("h1",)))
    with pytest.raises(HostInUse, match="2 bindings of ports stand there") as raised:
        deleted(store)
    assert "netwright port list --host h1" in raised.value.next
    assert "netwright host fence h1" in raised.value.next
    store.do(FenceHost(caller=ADMIN, host="h1", reason="burnt"))
    with pytest.raises(HostInUse, match="2 bindings") as raised:
        deleted(store)
    assert "fence" not in raised.value.next
    for port in ports:
        store.do(delete(port.id))
    assert deleted(store) == 1
    assert store.host("h1") is None
    assert (store.events[-1].kind, store.events[-1].body) == (Kind.HOST, None)
    with pytest.raises(HostNotFound):
        deleted(store)


def test_each_deletion_revokes_once_more(store: Store) -> None:
    for times in (1, 2, 3):
        store.do(Tick(caller=ADMIN, silent_hosts=("h1",)))
        assert deleted(store) == times
        assert store.revocations() == {"h1": times}
        store.do(register("h1"))
