"""Hints of availability zones: of the inventory's zones, for networks and routers."""

from typing import Any

import pytest
from tests.doubles.http import Client
from tests.unit.server.projects import client_of

from netwright.server.core import Core

VLAN = {"provider:network_type": "vlan", "provider:physical_network": "physnet1"}
BODIES = {"network": {**VLAN, "provider:segmentation_id": 100}, "router": {}}
LEAF = {"kind": "leaf", "loopback": "10.255.0.1", "asn": 65001}


@pytest.fixture
async def admin(core: Core) -> Client:
    """Beside an inventory with a switch in the zone `north`."""
    switches = [{"name": "leaf-1", "zone": "north", **LEAF}]
    client = client_of(core, "admin")
    answer = await client.put("/v1/topology", {"switches": switches, "links": []})
    assert answer.status == 200, answer
    return client


@pytest.mark.parametrize("name", ["network", "router"])
async def test_a_zone_that_is_there_is_kept_and_another_not_found(admin: Client, name: str) -> None:
    async def made(*hints: str) -> Any:
        body = {**BODIES[name], "availability_zone_hints": list(hints)}
        return await admin.post(f"/v2.0/{name}s", {name: body})

    kept = (await made("north")).json[name]
    assert (kept["availability_zone_hints"], kept["availability_zones"]) == (["north"], ["north"])
    for hints in (("south",), ("north", "south"), ("",)):
        answer = await made(*hints)
        assert (answer.status, answer.error["type"]) == (404, "AvailabilityZoneNotFound")
    for hints in (("north", "north"), ("x" * 300,)):
        answer = await made(*hints)
        assert answer.status == 400, answer
        assert "availability_zone_hints" in answer.error["message"]


async def test_networks_are_sorted_by_their_hints(admin: Client) -> None:
    for number, hints in ((101, ["north"]), (102, []), (103, ["north"])):
        body = {**BODIES["network"], "provider:segmentation_id": number}
        await admin.post("/v2.0/networks", {"network": {**body, "availability_zone_hints": hints}})
    for direction, wanted in (("asc", [0, 1, 1]), ("desc", [1, 1, 0])):
        target = f"/v2.0/networks?sort_key=availability_zone_hints&sort_dir={direction}"
        first = (await admin.get(f"{target}&limit=2")).json["networks"]
        rest = (await admin.get(f"{target}&marker={first[-1]['id']}")).json["networks"]
        assert [len(one["availability_zone_hints"]) for one in (*first, *rest)] == wanted
