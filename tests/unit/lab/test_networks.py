"""Networks of a lab as they are asked for."""

import json

from tests.doubles.native_api import HttpDouble

from netwright.client.api import Client
from netwright.lab.networks import create_fabric_network


async def test_each_subnet_can_be_named() -> None:
    async with HttpDouble().serving() as server:
        server.answer("POST", "/v2.0/networks", '{"network": {"id": "n"}}', 201)
        server.answer("POST", "/v2.0/subnets", '{"subnet": {"id": "s"}}', 201)
        async with Client(server.url) as client:
            await create_fabric_network(client, "red", ["10.150.0.1/24", "fd00:150::1/64"])
        _, *subnets = map(json.loads, server.bodies)
        names = {one["subnet"]["cidr"]: one["subnet"]["name"] for one in subnets}
        assert names == {"10.150.0.0/24": "red", "fd00:150::/64": "red-v6"}
