"""`netwright fabric` against a real HTTP server."""

import json
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from tests.doubles import fabrics
from tests.doubles.native_api import HttpDouble
from tests.unit.cli.test_switch import LEASE, asked

CUT_OFF = "To drain switch leaf1 is to cut off host1: no other leaf has a link to it."


@pytest.fixture
async def server() -> AsyncIterator[HttpDouble]:
    async with HttpDouble().serving() as double:
        yield double


def ends(server: HttpDouble, action: str, **said: Any) -> None:
    """An operation of that action has ended as soon as it is asked for."""
    body = {"id": "op-1", "state": "failed" if "error" in said else "done", **said}
    server.answer("POST", f"/v1/fabric/{action}", json.dumps(body), 202)


def tells(server: HttpDouble, *lines: dict[str, Any]) -> None:
    """A watch's snapshot."""
    whole = [*lines, {"type": "snapshot_end", "cursor": "c1"}]
    server.answer("GET", "/v1/watch", "".join(f"{json.dumps(line)}\n" for line in whole))


def line(kind: str, id_: str, value: Any) -> dict[str, Any]:
    return {"type": "put", "kind": kind, "id": id_, "object": msgspec.to_builtins(value)}


async def test_status_begins_with_who_acts(server: HttpDouble) -> None:
    tells(server)
    server.answer("GET", "/v1/leases/fabric", json.dumps(LEASE | {"is_held": False, "since": 9.0}))
    shown = await asked(server, "fabric", "status", "--output", "json")
    assert shown.code == 0
    assert shown.err.startswith("No fabric controller acts since 1970-01-01 00:00:09Z: ")
    controller = json.loads(shown.out)["controller"]
    assert (controller["holder"], controller["is_held"]) == ("ctl/7/ab", False)


async def test_status_is_that_of_the_switches_that_are_named(server: HttpDouble) -> None:
    network, topology = fabrics.network(1), fabrics.topology(leaves=4)
    tells(
        server,
        line("topology", "fabric", topology),
        *(
            line("attachment", f"net-1@{host}", fabrics.attachment(network, host, 10))
            for host in ("host1", "host2")
        ),
    )
    server.answer("GET", "/v1/leases/fabric", json.dumps(LEASE))
    shown = await asked(server, "fabric", "status", "leaf3", "spine1", "--output", "json")
    found = json.loads(shown.out)
    assert [one["name"] for one in found["switches"]] == ["leaf3", "spine1"]
    assert [one["host"] for one in found["waiting"]] == ["host2"]
    unknown = await asked(server, "fabric", "status", "leaf9")
    assert (unknown.code, unknown.out) == (3, "")
    assert "The inventory has no switch leaf9.\n  It has spine1, leaf1, " in unknown.err


async def test_what_nobody_has_said_that_a_switch_can_hold_is_unknown(server: HttpDouble) -> None:
    uses = {key: {"used": 0, "capacity": 9} for key in ("macs", "vnis", "vrfs", "arp_entries")}
    leaf = {"switch": "leaf1", "kind": "leaf", **uses}
    server.answer("GET", "/v1/fabric/capacity", json.dumps({"switches": [leaf]}))
    known = await asked(server, "fabric", "capacity")
    assert (known.code, known.err) == (0, "")
    leaf["vnis"] = {"used": 0, "capacity": None}
    server.answer("GET", "/v1/fabric/capacity", json.dumps({"switches": [leaf]}))
    unknown = await asked(server, "fabric", "capacity")
    assert "0 of unknown" in unknown.out
    assert "`capacities` in the inventory" in unknown.err


async def test_a_drain_that_cuts_hosts_off_is_refused_unless_forced(server: HttpDouble) -> None:
    error = {"type": "Conflict", "fault": "caller", "message": CUT_OFF, "next": "Use --force."}
    ends(server, "drain", error=error)
    refused = await asked(server, "fabric", "drain", "leaf1")
    assert (refused.code, refused.out) == (1, "")
    assert refused.err == f"netwright: {CUT_OFF}\n  Use --force.\n"
    assert json.loads(server.bodies[-1]) == {"switch": "leaf1", "force": False}

    ends(server, "drain", result={"switch": "leaf1", "drained": True, "cut_off": ["host1"]})
    forced = await asked(server, "fabric", "drain", "leaf1", "--force")
    assert (forced.code, forced.out) == (0, "Switch leaf1 is drained.\n")
    assert forced.err == "No other leaf serves host1: cut off.\n"
    assert json.loads(server.bodies[-1]) == {"switch": "leaf1", "force": True}
