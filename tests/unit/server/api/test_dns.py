"""Names of ports, as attributes: what is taken, and what addresses are called by them."""

from typing import Any

import pytest
from tests.doubles.http import Client
from tests.unit.server.projects import client_of
from tests.unit.server.test_bulk import a_network

from netwright.model.errors import InvalidInput
from netwright.model.resources import FixedIp
from netwright.server.api.v2 import dns
from netwright.server.core import Core

FIXED = (
    FixedIp(subnet_id="s", ip_address="10.0.0.5"),
    FixedIp(subnet_id="t", ip_address="2001:db8::5"),
)


@pytest.mark.parametrize(
    ("name", "domain", "called"),
    [
        ("", "", ["host-10-0-0-5.openstacklocal.", "host-2001-db8--5.openstacklocal."]),
        ("one", "", ["one.openstacklocal."] * 2),
        ("one", "two.example.", ["one.two.example."] * 2),
        ("one.two.example.", "", ["one.two.example."] * 2),
    ],
)
def test_addresses_are_called_by_their_ports_name(
    name: str, domain: str, called: list[str]
) -> None:
    found = dns.assignments(FIXED, name, domain)
    assert [one.fqdn for one in found] == called
    assert [one.hostname for one in found] == [one.partition(".")[0] for one in called]


@pytest.mark.parametrize(
    "text", ["-a", "a-", "a..b", "a_b", "a b", "x" * 64, "a.1", ".", "é", ".".join(["x" * 60] * 5)]
)
def test_what_is_no_name_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="dns_name"):
        dns.name(text)
    with pytest.raises(InvalidInput, match="dns_domain"):
        dns.domain(f"{text}.")


def test_names_are_in_lower_case_and_may_be_whole() -> None:
    assert (dns.name("One.Example."), dns.name("")) == ("one.example.", "")
    assert dns.domain("Two.Example.") == "two.example."
    for refused in (dns.relative_name, lambda text: dns.domain(text.rstrip("."))):
        with pytest.raises(InvalidInput):
            refused("one.example.")


async def test_a_list_shows_what_one_shows(core: Core) -> None:
    admin: Client = client_of(core, "admin")
    network = await a_network(admin)
    body: dict[str, Any] = {"network_id": network, "dns_name": "One", "dns_domain": "x.example."}
    made = (await admin.post("/v2.0/ports", {"port": body})).json["port"]
    (listed,) = (await admin.get("/v2.0/ports?fields=dns_assignment")).json["ports"]
    assert listed["dns_assignment"] == made["dns_assignment"]
    (one,) = made["dns_assignment"]
    address = made["fixed_ips"][0]["ip_address"]
    assert one == {"ip_address": address, "hostname": "one", "fqdn": "one.x.example."}
