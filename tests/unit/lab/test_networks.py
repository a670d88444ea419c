"""Networks of a lab as they are asked for."""

import json

from tests.doubles.native_api import HttpDouble

from netwright.client.api import Client
from netwright.lab import spec
from netwright.lab.networks import create_described, create_fabric_network


async def test_each_subnet_can_be_named() -> None:
    async with HttpDouble().serving() as server:
        server.answer("POST", "/v2.0/networks", '{"network": {"id": "n"}}', 201)
        server.answer("POST", "/v2.0/subnets", '{"subnet": {"id": "s"}}', 201)
        async with Client(server.url) as client:
            await create_fabric_network(client, "red", ["10.150.0.1/24", "fd00:150::1/64"])
        _, *subnets = map(json.loads, server.bodies)
        names = {one["subnet"]["cidr"]: one["subnet"]["name"] for one in subnets}
        assert names == {"10.150.0.0/24": "red", "fd00:150::/64": "red-v6"}


async def test_a_networks_labels_and_how_far_its_ports_may_drift_are_asked_for() -> None:
    described = spec.preset("containers")
    async with HttpDouble().serving() as server:
        server.answer("POST", "/v2.0/networks", '{"network": {"id": "n"}}', 201)
        server.answer("POST", "/v2.0/subnets", '{"subnet": {"id": "s"}}', 201)
        async with Client(server.url) as client:
            for name in ("front", "back", "outside"):
                await create_described(client, described, name)
        bodies = [json.loads(body) for body in server.bodies]
    asked = {one["network"].pop("name"): one["network"] for one in bodies if "network" in one}
    vxlan = {"provider:network_type": "vxlan"}
    assert asked["front"] == {**vxlan, "labels": {"env": "prod", "tier": "web"}}
    labels = {"env": "prod", "tier": "db"}
    assert asked["back"] == {**vxlan, "labels": labels, "drift_domain": "zone"}
    assert asked["outside"].keys().isdisjoint({"labels", "drift_domain"})
