"""What goes from a bound port is held until its host has shown that it no longer answers for it."""

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace
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
    slaac_subnet,
    update,
)

from netwright.ipam.resting import REST_S, AddressTaken
from netwright.model.errors import InvalidInput, MacAddressInUse
from netwright.model.resources import Network, Port, VnicType
from netwright.model.states import BindingState, PortState
from netwright.model.wire import ReportStatus
from netwright.server.commands import AddressWish, FenceHost, Tick
from netwright.server.ports.explain import explain

OLD, NEW = "10.0.0.2", "10.0.0.5"
OLD_MAC, NEW_MAC = "02:00:00:00:00:01", "02:00:00:00:00:02"


@pytest.fixture
def store(place: Place) -> Iterator[Store]:
    store = Store(place)
    store.make_network("net", 10, ipv4_subnet("net"))
    store.do(register("h1"))
    store.do(register("h2"))
    yield store
    store.close()


def at(address: str) -> tuple[AddressWish, ...]:
    return (AddressWish(ip_address=address),)


def up_on(store: Store, host: str, port_id: str = "a", **attributes: Any) -> Port:
    attributes.setdefault("fixed_ips", at(OLD))
    attributes.setdefault("mac_address", OLD_MAC)
    (port,) = store.do(create(port_id, host=host, **attributes))
    store.do(reports(host, report(port, host, ReportStatus.UP)))
    return the(store, port_id)


def the(store: Store, port_id: str = "a") -> Port:
    port = store.port(port_id)
    assert port is not None
    return port


def say(store: Store, status: ReportStatus, cause: str = "", host: str = "h1") -> None:
    """The host speaks of the newest generation of the port."""
    store.do(reports(host, report(the(store), host, status, cause)))


def test_an_address_that_goes_is_held_until_its_host_has_wired_the_port_without_it(
    store: Store,
) -> None:
    before = up_on(store, "h1")
    (after,) = store.do(update("a", fixed_ips=at(NEW)))
    assert after.generation == before.generation + 1
    store.now += 10 * REST_S  # a silent host does not speak by being silent for long
    store.do(Tick(caller=ADMIN, silent_hosts=("h1",)))
    assert store.holders() == {OLD: "a", NEW: "a"}
    with pytest.raises(AddressTaken):
        store.do(create("b", fixed_ips=at(OLD)))
    store.do(reports("h1", report(before, "h1", ReportStatus.UP)))  # the older generation's
    assert store.holders()[OLD] == "a"
    say(store, ReportStatus.UP)
    assert store.holders() == {OLD: None, NEW: "a"}
    store.now += REST_S + 1
    store.do(Tick(caller=ADMIN))
    assert store.holders() == {NEW: "a"}


def test_a_port_that_loses_or_gets_an_address_stays_active(store: Store) -> None:
    """Nova's port of a running instance must not leave ACTIVE; what stays of it works on."""
    before = up_on(store, "h1")
    both = (AddressWish(ip_address=OLD), AddressWish(ip_address=NEW))
    (grown,) = store.do(update("a", fixed_ips=both))
    assert (grown.state, grown.generation) == (PortState.ACTIVE, before.generation)
    (shrunk,) = store.do(update("a", fixed_ips=at(NEW)))
    assert (shrunk.state, shrunk.bindings[0].state) == (PortState.ACTIVE, BindingState.UP)
    say(store, ReportStatus.UP)
    after = the(store)
    assert (after.state, after.state_since) == (PortState.ACTIVE, before.state_since)


def test_a_host_without_the_device_answers_for_nothing(store: Store) -> None:
    up_on(store, "h1")
    store.do(update("a", fixed_ips=at(NEW)))
    say(store, ReportStatus.REFUSED, "no such queue")  # what it had wired may stand
    assert store.holders()[OLD] == "a"
    say(store, ReportStatus.DOWN, "unplugged")
    assert store.holders()[OLD] is None


def test_a_host_that_never_reported_may_have_wired_the_port(store: Store) -> None:
    store.do(create("a", host="h1", fixed_ips=at(OLD)))
    store.do(update("a", fixed_ips=at(NEW)))
    assert store.holders()[OLD] == "a"
    assert the(store).state is PortState.WIRING


def test_every_host_must_show_it(store: Store) -> None:
    up_on(store, "h1")
    store.do(update("a", host="h2"))
    store.do(update("a", fixed_ips=at(NEW)))
    on_h1 = the(store).binding_on("h1")
    assert on_h1 is not None
    say(store, ReportStatus.UP, host="h2")
    assert store.holders()[OLD] == "a", "h1 has it wired"
    gone = report(the(store), "h1", ReportStatus.WITHDRAWN)
    store.do(reports("h1", replace(gone, generation=on_h1.generation)))
    assert store.holders()[OLD] is None


def test_what_withdraws_is_clean_when_it_is_withdrawn_and_not_before(store: Store) -> None:
    """The device may have gone, come back and been wired before its host heard of anything."""
    before = up_on(store, "h1")
    store.do(update("a", host=""))
    store.do(update("a", fixed_ips=at(NEW)))
    late = report(before, "h1", ReportStatus.DOWN, "unplugged")
    store.do(reports("h1", late))
    assert store.holders()[OLD] == "a"
    store.do(reports("h1", report(before, "h1", ReportStatus.WITHDRAWN)))
    assert store.holders()[OLD] is None


@pytest.mark.parametrize("fate", ["fenced", "deleted", "moved", "unbound"])
def test_a_fence_or_a_withdrawal_shows_it_too(store: Store, fate: str) -> None:
    up_on(store, "h1")
    store.do(update("a", fixed_ips=at(NEW)))
    match fate:
        case "deleted":
            store.do(delete("a"))
        case "moved":
            store.do(update("a", host="h2"))
        case "unbound":
            store.do(update("a", host=""))
    assert store.holders()[OLD] == "a"
    if fate in {"fenced", "moved"}:
        store.do(FenceHost(caller=ADMIN, host="h1", reason="power is off"))
    else:
        say(store, ReportStatus.WITHDRAWN)
    assert store.holders()[OLD] is None


def test_a_doubt_survives_a_binding_that_replaces_another_on_its_host(store: Store) -> None:
    up_on(store, "h1")
    store.do(update("a", fixed_ips=at(NEW)))
    store.do(update("a", host=""))
    store.do(Tick(caller=ADMIN, silent_hosts=("h1",)))
    (again,) = store.do(update("a", host="h1"))
    assert again.bindings[0].state is BindingState.REFUSED
    store.do(register("h1"))  # it is tried again
    assert the(store).bindings[0].state is BindingState.PREPARING
    assert store.holders()[OLD] == "a"
    say(store, ReportStatus.UP)
    assert store.holders()[OLD] is None


def test_an_agent_cannot_speak_for_what_it_does_not_wire(store: Store) -> None:
    """Bare metal is up by definition; what the agent had wired there before may stand."""
    up_on(store, "h1")
    store.do(update("a", fixed_ips=at(NEW)))
    store.do(update("a", host=""))
    (metal,) = store.do(update("a", host="h1", vnic_type=VnicType.BAREMETAL))
    assert metal.bindings[0].state is BindingState.UP
    say(store, ReportStatus.UP)
    assert store.holders()[OLD] == "a"
    store.do(update("a", host=""))
    say(store, ReportStatus.WITHDRAWN)
    assert store.holders()[OLD] is None


def test_changes_before_the_host_has_spoken_add_up(store: Store) -> None:
    up_on(store, "h1")
    (second,) = store.do(update("a", fixed_ips=at(NEW)))
    store.do(update("a", fixed_ips=at("10.0.0.6")))
    store.do(reports("h1", report(second, "h1", ReportStatus.UP)))
    assert store.holders() == {OLD: "a", NEW: "a", "10.0.0.6": "a"}
    say(store, ReportStatus.UP)
    assert store.holders() == {OLD: None, NEW: None, "10.0.0.6": "a"}


def test_a_port_may_have_back_what_it_still_holds(store: Store) -> None:
    up_on(store, "h1")
    store.do(update("a", fixed_ips=at(NEW), mac_address=NEW_MAC))
    store.do(update("a", fixed_ips=at(OLD), mac_address=OLD_MAC))
    say(store, ReportStatus.UP)
    assert store.holders() == {OLD: "a", NEW: None}
    store.do(create("b", mac_address=NEW_MAC))  # of the same project: it may have what rests
    with pytest.raises(MacAddressInUse, match="in use by port a"):
        store.do(create("c", mac_address=OLD_MAC))


def test_what_comes_back_and_goes_again_is_held_again(store: Store) -> None:
    up_on(store, "h1")
    store.do(update("a", mac_address=NEW_MAC))
    store.do(update("a", mac_address=OLD_MAC))
    assert OLD_MAC not in explained(store)
    store.do(update("a", mac_address=NEW_MAC))
    with pytest.raises(MacAddressInUse, match="was port a's"):
        store.do(create("b", mac_address=OLD_MAC))


def test_a_mac_that_goes_is_held_then_rests(store: Store) -> None:
    up_on(store, "h1")
    store.do(update("a", mac_address=NEW_MAC))
    store.now += 10 * REST_S
    store.do(Tick(caller=ADMIN, silent_hosts=("h1",)))
    with pytest.raises(MacAddressInUse, match="was port a's"):
        store.do(create("b", mac_address=OLD_MAC))
    say(store, ReportStatus.UP)
    mine = create("b", mac_address=OLD_MAC)
    stranger = replace(mine, drafts=tuple(replace(d, project_id="q") for d in mine.drafts))
    with pytest.raises(MacAddressInUse, match="rests for another 60 s"):
        store.do(stranger)
    store.now += REST_S + 1
    store.do(stranger)
    assert store.rows("SELECT count(*) FROM former_mac") == [(0,)]


def test_a_mac_that_rested_is_forgotten(store: Store) -> None:
    up_on(store, "h1")
    store.do(update("a", mac_address=NEW_MAC))
    say(store, ReportStatus.UP)
    store.now += REST_S + 1
    store.do(Tick(caller=ADMIN))
    assert store.rows("SELECT count(*) FROM former_mac") == [(0,)]


def test_what_no_host_ever_knew_is_free_at_once(store: Store) -> None:
    store.do(create("a", fixed_ips=at(OLD), mac_address=OLD_MAC))
    store.do(update("a", fixed_ips=at(NEW), mac_address=NEW_MAC))
    assert store.holders() == {NEW: "a"}
    store.do(create("b", fixed_ips=at(OLD), mac_address=OLD_MAC))


def test_what_no_agent_wires_is_not_waited_for(store: Store) -> None:
    store.do(create("a", host="rack7", fixed_ips=at(OLD), vnic_type=VnicType.BAREMETAL))
    store.do(update("a", fixed_ips=at(NEW)))
    assert store.holders()[OLD] is None


def test_a_subnet_is_in_use_while_a_host_may_answer_for_an_address_of_it(store: Store) -> None:
    up_on(store, "h1")
    store.do(update("a", fixed_ips=()))
    rows = "SELECT count(*) FROM allocation WHERE port_id IS NOT NULL"
    assert store.rows(rows) == [(1,)]
    say(store, ReportStatus.UP)
    assert store.rows(rows) == [(0,)]


def test_a_port_without_planes_cannot_be_made_of_a_bound_one_by_changing_its_address_too(
    store: Store,
) -> None:
    up_on(store, "h1")
    with pytest.raises(InvalidInput, match="is bound to a host"):
        store.do(update("a", fixed_ips=at(NEW), vnic_type=VnicType.BAREMETAL))
    change = {"fixed_ips": at(NEW), "vnic_type": VnicType.BAREMETAL, "host": "rack7"}
    (moved,) = store.do(update("a", **change))
    assert moved.state is PortState.ACTIVE
    assert store.holders() == {OLD: "a", NEW: "a"}


def test_history_and_explain_say_who_holds_what_and_why(store: Store) -> None:
    up_on(store, "h1")
    store.do(update("a", fixed_ips=at(NEW), admin_state_up=False))
    story = [(each.event, each.cause) for each in store.history("a")][-2:]
    assert story[0][0] == "admin_down"
    assert story[1] == ("readdress", f"{OLD}: held until host h1 no longer answers for it")
    store.now += 90.0
    text = explained(store)
    assert f"Host h1 has not confirmed that it no longer answers for {OLD}" in text
    assert "for 1 min 30 s" in text
    assert "look at the log of netwright agent on h1" in text
    store.do(Tick(caller=ADMIN, silent_hosts=("h1",)))
    assert "netwright host fence h1" in explained(store)
    say(store, ReportStatus.UP)
    assert store.history("a")[-1].cause == f"the host no longer answers for {OLD}"
    assert OLD not in explained(store)


def explained(store: Store) -> str:
    port = the(store)
    ((body,),) = store.rows("SELECT body FROM network")
    hosts = {b.host: store.host(b.host) for b in port.bindings}
    known = {name: host for name, host in hosts.items() if host}
    return explain(port, msgspec.json.decode(body, type=Network), known, {}, store.now).text


def test_a_slaac_address_goes_with_its_mac(store: Store) -> None:
    store.make_network("six", 20, slaac_subnet("six"))
    (port,) = store.do(create("a", "six", host="h1", mac_address=OLD_MAC))
    assert [ip.ip_address for ip in port.fixed_ips] == ["2001:db8::ff:fe00:1"]
    store.do(reports("h1", report(port, "h1", ReportStatus.UP)))
    (after,) = store.do(update("a", mac_address=NEW_MAC))
    assert [ip.ip_address for ip in after.fixed_ips] == ["2001:db8::ff:fe00:2"]
    assert store.holders() == {"2001:db8::ff:fe00:1": "a", "2001:db8::ff:fe00:2": "a"}
    # Back, naming the address as it is before the change: it goes with its MAC.
    (back,) = store.do(update("a", mac_address=OLD_MAC, fixed_ips=at("2001:db8::ff:fe00:2")))
    assert [ip.ip_address for ip in back.fixed_ips] == ["2001:db8::ff:fe00:1"]
    say(store, ReportStatus.UP)
    assert store.holders() == {"2001:db8::ff:fe00:1": "a", "2001:db8::ff:fe00:2": None}


def test_a_slaac_address_that_is_named_with_the_mac_that_goes_is_not_taken(store: Store) -> None:
    store.make_network("six", 20, slaac_subnet("six"))
    store.do(create("a", "six", mac_address=OLD_MAC, fixed_ips=()))
    (after,) = store.do(update("a", mac_address=NEW_MAC, fixed_ips=at("2001:db8::ff:fe00:1")))
    assert [ip.ip_address for ip in after.fixed_ips] == ["2001:db8::ff:fe00:2"]
    assert store.holders() == {"2001:db8::ff:fe00:2": "a"}


@pytest.mark.parametrize("is_bound", [False, True])
def test_what_was_reclaimed_from_its_rest_rests_again(store: Store, *, is_bound: bool) -> None:
    """Whoever had it before may still be asked for; the port in between proves nothing."""
    (port,) = store.do(create("a", host="h1"))
    address = port.fixed_ips[0].ip_address
    store.do(delete("a"))
    store.do(reports("h1", report(port, "h1", ReportStatus.WITHDRAWN)))
    (again,) = store.do(create("b", host="h1" if is_bound else "", fixed_ips=at(address)))
    store.do(delete("b"))
    if is_bound:
        store.do(reports("h1", report(again, "h1", ReportStatus.WITHDRAWN)))
    assert store.holders() == {address: None}
    store.now += 61.0
    (after,) = store.do(create("c", fixed_ips=at(address)))
    assert after.fixed_ips[0].ip_address == address


def test_a_mac_that_was_reclaimed_from_its_rest_rests_again(store: Store) -> None:
    store.do(create("a", host="h1", mac_address=OLD_MAC))
    say(store, ReportStatus.UP)
    store.do(update("a", mac_address=NEW_MAC))
    say(store, ReportStatus.UP)
    store.do(create("b", mac_address=OLD_MAC, fixed_ips=()))  # its project may have it back
    store.do(delete("b"))
    rows = store.rows("SELECT mac_address, port_id FROM former_mac")
    assert rows == [(OLD_MAC, None)]
