"""A process whose ledger is behind does not give away what its batch has read to be another's."""

from collections.abc import Iterator

import pytest
from tests.doubles.places import Place
from tests.doubles.store import ADMIN, Store, create, delete, ipv4_subnet

from netwright.ipam.ledger import Ledger
from netwright.server.commands import (
    AddressWish,
    Command,
    CreatePorts,
    PortChange,
    PortDraft,
    UpdatePorts,
)


@pytest.fixture
def stores(place: Place) -> Iterator[tuple[Store, Store]]:
    """Two processes on one database."""
    one, other = Store(place), Store(place)
    other.ledger = Ledger("other")
    one.make_network("net", 10, ipv4_subnet("net", "10.0.0.0/28"))
    yield one, other
    one.close()


def change(port_id: str) -> UpdatePorts:
    return UpdatePorts(caller=ADMIN, changes=(PortChange(id=port_id, name="changed"),))


def exactly(port_id: str, address: str) -> CreatePorts:
    draft = PortDraft(
        id=port_id, project_id="p", network_id="net", fixed_ips=(AddressWish(ip_address=address),)
    )
    return CreatePorts(caller=ADMIN, drafts=(draft,))


@pytest.mark.parametrize("first", [change("others"), delete("others")])
def test_another_processs_address_that_the_batch_reads(
    stores: tuple[Store, Store], first: Command
) -> None:
    one, other = stores
    (known,) = one.do(create("known"))[0].fixed_ips
    addresses = [f"10.0.0.{n}" for n in range(2, 15)]
    addresses.remove(known.ip_address)
    for n, address in enumerate(addresses[:6]):
        other.do(exactly("others" if n == 0 else f"o{n}", address))
    reads = [change(f"o{n}") for n in range(1, 6)]
    *_, (made,) = one.batch(first, *reads, create("made"))
    holders = one.holders()
    for port in one.ports():
        for ip in port.fixed_ips:
            assert holders[ip.ip_address] == port.id
    assert made.fixed_ips[0].ip_address not in addresses[1:6]
    assert len(holders) == len(one.ports())


def test_all_others_are_given(stores: tuple[Store, Store]) -> None:
    one, other = stores
    (known,) = one.do(create("known"))[0].fixed_ips
    free = [f"10.0.0.{n}" for n in range(2, 15) if f"10.0.0.{n}" != known.ip_address]
    for n, address in enumerate(free[:11]):
        other.do(exactly(f"o{n}", address))
    *_, (made,) = one.batch(*(change(f"o{n}") for n in range(11)), create("made"))
    assert [ip.ip_address for ip in made.fixed_ips] == free[11:]
