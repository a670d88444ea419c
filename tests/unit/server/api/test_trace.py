"""`/v1/topology` and `/v1/trace` at the edge: names, refusals, and the answer's form."""

import json

import pytest
from msgspec.json import encode
from tests.doubles.http import Client
from tests.doubles.service import ServiceDouble
from tests.unit.server.trace.pictures import TREE, station

from netwright.server.commands import ReplaceTopology

SOURCE, TARGET = station("inst1", "host1"), station("inst2", "host1", "green")


@pytest.fixture
def known(service: ServiceDouble) -> ServiceDouble:
    """A double that knows the inventory and the two instances."""
    service.found["topology"] = TREE
    for one in (SOURCE, TARGET):
        service.found |= {one.port.id: one.port, one.network.id: one.network, **one.subnets}
        assert one.host is not None
        service.found[one.host.name] = one.host
    return service


async def test_the_inventory_is_replaced_and_shown(client: Client, service: ServiceDouble) -> None:
    nothing = (await client.get("/v1/topology")).json
    assert (nothing["switches"], nothing["links"], nothing["gateways"]) == ([], [], [])
    body = json.loads(encode(TREE))
    answer = await client.put("/v1/topology", body)
    assert (answer.status, answer.json) == (200, body)
    command = service.commands[-1]
    assert isinstance(command, ReplaceTopology)
    assert command.topology == TREE
    assert (await client.get("/v1/topology")).json == body


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({"switches": [{"name": "tor1", "kind": "spline"}]}, "switches"),
        ({"switches": [{"name": "tor1", "kind": "tor", "colour": 1}]}, "colour"),
        ({"gateways": [{"switch": "c", "interface": "v", "physical_network": "p", "vlan": 0}]},
         "gateways"),
        ({"links": [{"lower": {"node": "a", "interface": "b"}}]}, "upper"),
    ],
)  # fmt: skip
async def test_a_wrong_inventory_is_refused(client: Client, body: object, named: str) -> None:
    answer = await client.put("/v1/topology", body)
    assert answer.status == 400
    assert named in answer.error["message"]


@pytest.mark.parametrize("method", ["GET", "PUT"])
async def test_the_fabric_is_the_operators(member: Client, agent: Client, method: str) -> None:
    for one in (member, agent):
        assert (await one.ask(method, "/v1/topology", {})).status == 403
        assert (await one.get("/v1/trace?src=a&dst=b")).status == 403


async def test_the_answer_has_the_agreed_form(client: Client, known: ServiceDouble) -> None:
    answer = await client.get(f"/v1/trace?src={SOURCE.port.id}&dst={TARGET.port.id}")
    assert answer.status == 200
    assert answer.json["count"] == len(answer.json["devices"]) == 16
    assert answer.json["devices"][1] == {
        "node": "host1",
        "device": "tapinst1-0000-",
        "kind": "tap",
    }
    assert answer.json["links"][0] == {
        "leaves": {"node": "host1", "interface": "eth0"},
        "enters": {"node": "tor1", "interface": "host1"},
    }
    assert (answer.json["complete"], answer.json["reason"], answer.json["next"]) == (True, "", "")


async def test_names_and_addresses_are_looked_up(client: Client, known: ServiceDouble) -> None:
    del known.found[TARGET.port.id]  # the double answers every query with all ports it has
    await client.get("/v1/trace?src=inst1&dst=FD00::0001")
    asked = [query.filters for query in known.queries]
    assert asked == [(("name", ("inst1",)),), (("fixed_ips", ("ip_address=fd00::1",)),)]


@pytest.mark.parametrize(
    ("query", "error", "said"),
    [
        ("src=a", (400, "InvalidInput"), "dst"),
        ("src=a&dst=b&via=c", (400, "HTTPBadRequest"), "via"),
        ("src=inst1&dst=b", (409, "AmbiguousPort"), "inst1"),
        (f"src={SOURCE.port.id}&dst={SOURCE.port.id}", (400, "InvalidInput"), "both src and dst"),
    ],
)
async def test_what_is_asked_wrong_is_named(
    client: Client, known: ServiceDouble, query: str, error: tuple[int, str], said: str
) -> None:
    answer = await client.get(f"/v1/trace?{query}")
    assert (answer.status, answer.error["type"]) == error
    assert said in answer.error["message"]


async def test_a_port_that_is_not_there(client: Client, service: ServiceDouble) -> None:
    answer = await client.get("/v1/trace?src=nobody&dst=b")
    assert (answer.status, answer.error["type"]) == (404, "PortNotFound")
    assert "nobody" in answer.error["message"]
