"""Allowed address pairs and port security refuse each other as in Neutron."""

from typing import Any

import pytest
from tests.doubles.http import Answer, Client
from tests.unit.server.projects import client_of
from tests.unit.server.test_bulk import a_network

from netwright.server.core import Core

PAIR = {"ip_address": "10.9.9.9"}
NEEDS_SECURITY = (409, "AddressPairAndPortSecurityRequired")


@pytest.fixture
def admin(core: Core) -> Client:
    return client_of(core, "admin")


async def make(client: Client, network: str, **body: Any) -> Answer:
    return await client.post("/v2.0/ports", {"port": {"network_id": network, **body}})


def refusal(answer: Answer) -> tuple[int, str]:
    return answer.status, answer.error["type"]


async def test_pairs_need_port_security_of_the_port_or_its_network(admin: Client) -> None:
    network = await a_network(admin)
    answer = await make(admin, network, allowed_address_pairs=[PAIR], port_security_enabled=False)
    assert refusal(answer) == NEEDS_SECURITY
    off = {"network": {"port_security_enabled": False}}
    assert (await admin.put(f"/v2.0/networks/{network}", off)).status == 200
    assert refusal(await make(admin, network, allowed_address_pairs=[PAIR])) == NEEDS_SECURITY
    made = await make(admin, network, allowed_address_pairs=[PAIR], port_security_enabled=True)
    assert made.status == 201, made


async def test_port_security_goes_with_the_pairs_only(admin: Client) -> None:
    made = await make(admin, await a_network(admin), allowed_address_pairs=[PAIR])
    path = f"/v2.0/ports/{made.json['port']['id']}"
    off: dict[str, Any] = {"port_security_enabled": False, "security_groups": []}
    assert refusal(await admin.put(path, {"port": off})) == NEEDS_SECURITY
    both = {"port": {**off, "allowed_address_pairs": []}}
    assert (await admin.put(path, both)).status == 200


async def test_a_pair_without_a_mac_has_the_ports_own_and_is_there_once(admin: Client) -> None:
    network, mac = await a_network(admin), "fa:16:3e:00:00:01"
    twice = [PAIR, {**PAIR, "mac_address": mac}]
    answer = await make(admin, network, mac_address=mac, allowed_address_pairs=twice)
    assert refusal(answer) == (400, "DuplicateAddressPairInRequest")
