"""`netwright switch` and `link` against a real HTTP server."""

import json
from collections.abc import AsyncIterator

import pytest
from tests.doubles.native_api import HttpDouble
from tests.unit.cli.test_host_port import HOST, Done, run

LEAF = {
    "name": "leaf1",
    "kind": "leaf",
    "driver": "frr",
    "address": "local:/run/leaf1",
    "asn": 65001,
    "loopback": "10.255.0.1",
    "status": "drifted",
    "cause": "",
    "drift": ["VLAN 7 is missing on swp1"],
    "since": 0.0,
    "conditions": {"MACs exceeded": "switch leaf1 has 9 MACs and room for 8"},
    "capacity": {
        "switch": "leaf1",
        "kind": "leaf",
        "macs": {"used": 9, "capacity": 8},
        "vnis": {"used": 2, "capacity": None},
        "vrfs": {"used": 1, "capacity": 4},
        "arp_entries": {"used": 9, "capacity": None},
    },
}
SPINE = {
    **LEAF,
    "name": "spine1",
    "kind": "spine",
    "status": None,
    "since": None,
    "drift": [],
    "conditions": {},
    "capacity": None,
}
LEASE = {
    "name": "fabric",
    "holder": "ctl/7/ab",
    "is_held": True,
    "since": 0.0,
    "expires_at": 9.0,
}
LINK = {
    "host": "h1",
    "interface": "eth0",
    "declared": "leaf1/swp1",
    "heard": "leaf2/swp5",
    "is_up": False,
    "contradiction": "eth0 of host h1 hangs on leaf1/swp1 by the inventory, and hears leaf2/swp5",
    "since": 0.0,
}


@pytest.fixture
async def server() -> AsyncIterator[HttpDouble]:
    double = HttpDouble()
    double.answer("GET", "/v1/leases/fabric", json.dumps(LEASE))
    double.answer("GET", "/v1/switches", json.dumps({"switches": [LEAF, SPINE]}))
    double.answer("GET", "/v1/switches/leaf1", json.dumps(LEAF))
    double.answer("GET", "/v1/links", json.dumps({"links": [LINK]}))
    double.answer("GET", "/v1/hosts/h1", json.dumps(HOST | {"state": "unknown"}))
    async with double.serving():
        yield double


async def asked(server: HttpDouble, *arguments: str) -> Done:
    return await run(*arguments, NETWRIGHT_URL=server.url)


async def test_switches_are_a_table_or_what_the_api_says(server: HttpDouble) -> None:
    table = await asked(server, "switch", "list")
    acts = "Fabric controller ctl/7/ab acts since 1970-01-01 00:00:00Z.\n"
    assert (table.code, table.err) == (0, acts)
    lines = table.out.splitlines()
    assert lines[0].split() == [
        "Switch", "Kind", "Status", "Since", "Driver", "VNIs", "MACs", "Conditions",
    ]  # fmt: skip
    assert "9 of 8" in table.out
    assert "MACs exceeded: switch leaf1 has 9 MACs and room for 8" in table.out
    assert "not reported" in table.out
    as_json = await asked(server, "switch", "list", "--output", "json")
    assert json.loads(as_json.out) == [LEAF, SPINE]


async def test_rows_that_nobody_brings_up_to_date_are_said_to_be_old(server: HttpDouble) -> None:
    lapsed = json.dumps(LEASE | {"is_held": False, "since": 9.0})
    server.answer("GET", "/v1/leases/fabric", lapsed)
    old = await asked(server, "switch", "list")
    assert (old.code, "leaf1" in old.out) == (0, True)
    assert old.err.startswith(
        "No fabric controller acts since 1970-01-01 00:00:09Z: what follows is as last reported."
    )
    body = '{"error": {"type": "LeaseNotFound", "fault": "caller", "message": "nobody"}}'
    server.answer("GET", "/v1/leases/fabric", body, 404)
    never = await asked(server, "switch", "list")
    assert (never.code, never.err[:37]) == (0, "No fabric controller has ever acted: ")


async def test_a_switch_shows_its_drift(server: HttpDouble) -> None:
    shown = await asked(server, "switch", "show", "leaf1")
    assert shown.code == 0
    assert "VLAN 7 is missing on swp1" in shown.out


async def test_links_show_both_sides(server: HttpDouble) -> None:
    shown = await asked(server, "link", "list", "--host", "h1")
    assert shown.code == 0
    assert server.asked[-1].path_qs == "/v1/links?host=h1"
    assert all(word in shown.out for word in ("leaf1/swp1", "leaf2/swp5", "down", "by the"))


async def test_a_silent_hosts_leaves_are_heard(server: HttpDouble) -> None:
    shown = await asked(server, "host", "show", "h1")
    assert shown.code == 0
    assert "its leaves see no link of it: it is likely dead" in shown.err
