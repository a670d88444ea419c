"""A port's MAC comes of its id; when that is not free, of its id again, twice."""

from collections.abc import Iterator

import pytest
from tests.doubles.places import Place
from tests.doubles.store import ADMIN, Store, create, ipv4_subnet, slaac_subnet

from netwright.model.errors import MacAddressGenerationFailure
from netwright.model.resources import Port
from netwright.server.commands import CreatePorts, PortDraft
from netwright.server.ports.addressing import eui64
from netwright.server.ports.macs import MAC_ATTEMPTS, mac_candidates

CHOICES = mac_candidates("wanted")


@pytest.fixture
def store(place: Place) -> Iterator[Store]:
    one = Store(place)
    one.make_network("net", 10, ipv4_subnet("net", "10.0.0.0/24"), slaac_subnet("net"))
    yield one
    one.close()


def make(store: Store, port_id: str) -> Port:
    (port,) = store.do(create(port_id))
    assert isinstance(port, Port)
    return port


def take(store: Store, macs: tuple[str, ...]) -> None:
    for n, mac in enumerate(macs):
        store.do(create(f"taker{n}", mac_address=mac))


@pytest.mark.parametrize("taken", range(MAC_ATTEMPTS))
def test_the_first_choice_that_is_free(store: Store, taken: int) -> None:
    take(store, CHOICES[:taken])
    port = make(store, "wanted")
    assert port.mac_address == CHOICES[taken]
    assert {ip.ip_address for ip in port.fixed_ips} >= {eui64("2001:db8::/64", CHOICES[taken])}


def test_no_choice_is_free(store: Store) -> None:
    take(store, CHOICES)
    with pytest.raises(MacAddressGenerationFailure, match="wanted"):
        make(store, "wanted")
    assert store.port("wanted") is None


def test_a_mac_that_rests_is_not_chosen(store: Store) -> None:
    rests = "INSERT INTO former_mac (network_id, mac_address, project_id, rests_until) VALUES"
    store.run(f"{rests} ('net', $1, 'q', $2)", CHOICES[0], store.now + 60)
    port = make(store, "wanted")
    assert port.mac_address == CHOICES[1]


def test_a_request_with_many_second_choices_is_decided_whole(store: Store) -> None:
    ids = [f"p{n}" for n in range(40)]
    take(store, tuple(mac_candidates(each)[0] for each in ids))
    drafts = tuple(PortDraft(id=each, project_id="p", network_id="net") for each in ids)
    made = store.do(CreatePorts(caller=ADMIN, drafts=drafts))
    assert [port.mac_address for port in made] == [mac_candidates(each)[1] for each in ids]
