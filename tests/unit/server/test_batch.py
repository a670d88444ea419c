"""Commands that share a batch: each is decided on what those before it left, and fails alone."""

from collections.abc import Iterator
from typing import Any

import pytest
from tests.doubles.places import Place
from tests.doubles.store import (
    ADMIN,
    Store,
    addresses,
    create,
    delete,
    ipv4_subnet,
    register,
    report,
    reports,
    slaac_subnet,
    update,
)

from netwright.model.errors import IpAddressAlreadyAllocated, MacAddressInUse, NetwrightError
from netwright.model.resources import Port
from netwright.model.wire import Kind, ReportStatus
from netwright.server.commands import (
    AddressWish,
    DeleteNetwork,
    DeleteSubnet,
    Tick,
)

MAC, OTHER_MAC = "02:00:00:00:00:01", "02:00:00:00:00:02"


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


def rested(store: Store) -> str:
    """An address that has rested, whose row is still in the table."""
    port = wired(store, "gone")
    store.do(delete("gone"))
    gone = store.port("gone")
    assert gone is not None
    store.do(reports("h1", report(gone, "h1", ReportStatus.WITHDRAWN)))
    store.now += 100
    return port.fixed_ips[0].ip_address


def holders(store: Store) -> list[str | None]:
    rows = store.rows("SELECT port_id FROM allocation ORDER BY address")
    return [holder for (holder,) in rows]


@pytest.mark.parametrize("beside", ["a draw", "a tick"])
def test_an_address_taken_as_its_rest_ends_is_recorded(store: Store, beside: str) -> None:
    address = rested(store)
    other = create("other") if beside == "a draw" else Tick(caller=ADMIN)
    store.ledger.drop("net-4")  # so that the draw reads the table
    outcomes = store.batch(create("a", fixed_ips=(AddressWish(ip_address=address),)), other)
    assert not any(isinstance(outcome, Exception) for outcome in outcomes), outcomes
    assert holders(store).count("a") == 1


def test_a_name_passes_from_a_deleted_port_to_a_new_one(store: Store) -> None:
    wired(store, "a", unique_name="db/0")
    _, made = store.batch(delete("a"), create("b", unique_name="db/0"))
    assert made[0].id == "b"


def test_a_port_that_withdraws_does_not_answer_to_its_name(store: Store) -> None:
    port = wired(store, "a", unique_name="db/0")
    store.do(delete("a"))
    seen = reports("h1", report(port, "h1", ReportStatus.UP))
    for name in ("b", "c"):  # c: the name has a holder again
        _, made = store.batch(seen, create(name, unique_name="db/0"))
        assert made[0].id == "b"


def test_a_mac_passes_from_one_port_to_another(store: Store) -> None:
    store.do(create("a", mac_address=MAC))
    outcomes = store.batch(update("a", mac_address=OTHER_MAC), create("b", mac_address=MAC))
    assert not any(isinstance(outcome, Exception) for outcome in outcomes)


def test_two_ports_exchange_their_macs(store: Store) -> None:
    store.batch(create("a", mac_address=MAC), create("b", mac_address=OTHER_MAC))
    store.batch(
        update("a", mac_address="02:00:00:00:00:03"),
        update("b", mac_address=MAC),
        update("a", mac_address=OTHER_MAC),
    )
    assert [port.mac_address for port in store.ports()] == [OTHER_MAC, MAC]


def test_a_change_to_a_taken_mac_is_refused(store: Store) -> None:
    store.batch(create("a", mac_address=MAC), create("b", mac_address=OTHER_MAC))
    with pytest.raises(MacAddressInUse, match="in use by port b"):
        store.do(update("a", mac_address=OTHER_MAC))


def test_a_mac_that_comes_back_while_its_slaac_address_rests(store: Store) -> None:
    store.make_network("six", 6, slaac_subnet("six"))
    port = wired(store, "a", network="six", mac_address=MAC)
    store.do(delete("a"))
    gone = store.port("a")
    assert gone is not None
    store.do(reports("h1", report(gone, "h1", ReportStatus.WITHDRAWN)))
    (again,) = store.do(create("b", "six", mac_address=MAC))
    assert addresses([again]) == addresses([port])  # its own project's


def test_a_slaac_address_that_another_took_by_name_is_refused(store: Store) -> None:
    store.make_network("six", 6, slaac_subnet("six"))
    (port,) = store.do(create("a", "six", mac_address=MAC))
    wish = (AddressWish(ip_address=addresses([port])[0]),)
    store.do(update("a", fixed_ips=()))
    store.do(create("b", "six", mac_address=OTHER_MAC, fixed_ips=wish))
    with pytest.raises(IpAddressAlreadyAllocated):
        store.do(update("a", fixed_ips=(AddressWish(subnet_id="six-6"),)))
    store.do(delete("a"))
    with pytest.raises(IpAddressAlreadyAllocated):
        store.do(create("c", "six", mac_address=MAC))


def test_a_host_hears_of_a_network_that_goes_with_its_last_port(store: Store) -> None:
    port = wired(store, "a")
    store.do(delete("a"))
    store.batch(
        reports("h1", report(port, "h1", ReportStatus.WITHDRAWN)),
        DeleteSubnet(caller=ADMIN, id="net-4"),
        DeleteNetwork(caller=ADMIN, id="net"),
    )
    told = {
        (event.kind, event.id)
        for event in store.events
        if event.body is None and (event.hosts is None or "h1" in event.hosts | event.left_hosts)
    }
    assert told >= {(Kind.SUBNET, "net-4"), (Kind.NETWORK, "net"), (Kind.ATTACHMENT, "net@h1")}


def test_an_address_named_beside_any_of_its_subnet_is_kept(store: Store) -> None:
    (port,) = store.do(create("a"))
    wishes = (AddressWish(subnet_id="net-4"), AddressWish(ip_address=addresses([port])[0]))
    (after,) = store.do(update("a", fixed_ips=wishes))
    assert addresses([port])[0] in addresses([after])
    assert len(after.fixed_ips) == 2


def test_a_subnet_with_more_addresses_than_a_batch_frees_stays(store: Store) -> None:
    store.make_network("big", 11, ipv4_subnet("big", "10.8.0.0/16"))
    wishes = (AddressWish(subnet_id="big-4"),) * 32
    for start in range(0, 200, 50):
        store.batch(*(create(f"p{n}", "big", fixed_ips=wishes) for n in range(start, start + 50)))
    outcomes = store.batch(
        *(delete(f"p{n}") for n in range(199)), DeleteSubnet(caller=ADMIN, id="big-4")
    )
    assert isinstance(outcomes[-1], NetwrightError)
