"""`netwright trace` and `topology` against a real HTTP server."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
import yaml
from tests.doubles.native_api import HttpDouble
from tests.unit.cli.test_host_port import run

from netwright.model.topology import Topology

TRACE = {
    "count": 2,
    "devices": [
        {"node": "web", "device": "fa:16:3e:00:00:01", "kind": "vnic"},
        {"node": "host1", "device": "tap0b9f1a0e-5a", "kind": "tap"},
    ],
    "links": [],
    "complete": True,
    "known": True,
    "reason": "",
    "next": "",
}
TOPOLOGY = {
    "switches": [{"name": "tor1", "kind": "tor"}, {"name": "agg1", "kind": "aggregation"}],
    "links": [
        {
            "lower": {"node": "tor1", "interface": "up0"},
            "upper": {"node": "agg1", "interface": "tor1"},
            "peer": False,
        }
    ],
    "gateways": [],
}


@pytest.fixture
async def server() -> AsyncIterator[HttpDouble]:
    double = HttpDouble()
    double.answer("GET", "/v1/trace", json.dumps(TRACE))
    for method in ("GET", "PUT"):
        double.answer(method, "/v1/topology", json.dumps(TOPOLOGY))
    async with double.serving():
        yield double


async def test_a_trace_is_a_table_or_what_the_api_says(server: HttpDouble) -> None:
    table = await run("trace", "web", "10.0.0.7", NETWRIGHT_URL=server.url)
    assert (table.code, table.err) == (0, "2 devices, both vNICs counted.\n")
    assert [line.split() for line in table.out.splitlines()] == [
        ["#", "Node", "Device", "Kind"],
        ["1", "web", "fa:16:3e:00:00:01", "vnic"],
        ["2", "host1", "tap0b9f1a0e-5a", "tap"],
    ]
    assert dict(server.asked[-1].query) == {"src": "web", "dst": "10.0.0.7"}
    as_json = await run("trace", "web", "db", "--output", "json", NETWRIGHT_URL=server.url)
    assert json.loads(as_json.out) == TRACE


async def test_a_way_that_ends_is_exit_code_1(server: HttpDouble) -> None:
    ends = {"complete": False, "reason": "Port db is bound to no host.", "next": "Bind it."}
    server.answer("GET", "/v1/trace", json.dumps(TRACE | ends))
    done = await run("trace", "web", "db", NETWRIGHT_URL=server.url)
    assert done.code == 1
    assert done.err == ("It cannot arrive; 2 devices. Port db is bound to no host.\n  Bind it.\n")
    assert "tap0b9f1a0e-5a" in done.out


async def test_a_way_that_is_not_known_is_none_that_ends(server: HttpDouble) -> None:
    unknown = {"complete": False, "known": False, "reason": "red is a fabric network."}
    server.answer("GET", "/v1/trace", json.dumps(TRACE | unknown | {"next": "Ping it."}))
    done = await run("trace", "web", "db", NETWRIGHT_URL=server.url)
    assert (done.code, done.err) == (
        3,
        "It is not traced beyond these 2 devices. red is a fabric network.\n  Ping it.\n",
    )
    none = TRACE | unknown | {"count": 0, "devices": []}
    server.answer("GET", "/v1/trace", json.dumps(none))
    done = await run("trace", "web", "db", NETWRIGHT_URL=server.url)
    assert (done.code, done.out) == (3, "")
    assert done.err.startswith("It is not traced. red is")


async def test_what_show_writes_apply_reads(server: HttpDouble, tmp_path: Path) -> None:
    whole = msgspec.convert(TOPOLOGY, Topology)
    shown = await run("topology", "show", "--output", "yaml", NETWRIGHT_URL=server.url)
    assert msgspec.convert(yaml.safe_load(shown.out), Topology) == whole
    file = tmp_path / "fabric.yaml"
    file.write_text(shown.out)
    done = await run("topology", "apply", str(file), NETWRIGHT_URL=server.url)
    assert (done.code, done.err) == (0, "The server knows 2 switches, 1 links, 0 gateways.\n")
    assert msgspec.json.decode(server.bodies[-1], type=Topology) == whole
    table = await run("topology", "show", NETWRIGHT_URL=server.url)
    assert "up0 to agg1" in table.out


async def test_a_dry_run_says_what_comes_and_goes(server: HttpDouble, tmp_path: Path) -> None:
    file = tmp_path / "fabric.yaml"
    file.write_text(
        "switches:\n"
        "  - {name: tor1, kind: core}\n"
        "  - {name: leaf1, kind: leaf, asn: 65001, loopback: 10.0.0.1}\n"
        "links: [{lower: {node: h1, interface: eth0}, upper: {node: leaf1, interface: h1}}]\n"
    )
    said = await run("topology", "apply", "--dry-run", str(file), NETWRIGHT_URL=server.url)
    assert (said.code, said.out.splitlines()) == (
        0,
        [
            "+ switch leaf1",
            "~ switch tor1: kind tor → core",
            "- switch agg1",
            "+ link h1/eth0 to leaf1/h1",
            "- link tor1/up0 to agg1/tor1",
        ],
    )
    assert "Nothing was changed." in said.err
    assert {one.method for one in server.asked} == {"GET"}
    file.write_text(yaml.safe_dump(TOPOLOGY))
    said = await run("topology", "apply", "--dry-run", str(file), NETWRIGHT_URL=server.url)
    assert said.out == "It is the inventory that the server has.\n"


@pytest.mark.parametrize(
    ("driver", "address", "why"),
    [
        ("eos", "local:/run/leaf1", ":6: switches.0.driver: Switch leaf1 has driver 'eos', and"),
        ("frr", "10.0.0.1", ":7: switches.0.address: Switch leaf1 has address '10.0.0.1', which"),
    ],
)
async def test_a_switch_that_no_controller_reaches_is_not_sent(
    server: HttpDouble, tmp_path: Path, driver: str, address: str, why: str
) -> None:
    file = tmp_path / "fabric.yaml"
    of_leaf = (
        "name: leaf1",
        "kind: leaf",
        "asn: 65001",
        f"driver: {driver}",
        f"address: {address}",
    )
    lines = ("switches:", "  - loopback: 10.0.0.1", *(f"    {line}" for line in of_leaf))
    file.write_text("\n".join(lines))
    done = await run("topology", "apply", str(file), NETWRIGHT_URL=server.url)
    assert done.code == 2
    assert f"fabric.yaml{why}" in done.err
    assert server.asked == []


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (None, "cannot be read"),
        ("", ":1: the file: the file is empty"),
        ("{a: [}", ": this is no YAML"),
        ("switches: 7", ":1: switches: it is 7, but must be a list"),
        ("switchs: []", ":1: switchs: unknown key; the nearest known one is 'switches'"),
    ],
)
async def test_a_file_that_cannot_be_read_is_exit_code_2(
    tmp_path: Path, text: str | None, why: str
) -> None:
    file = tmp_path / "fabric.yaml"
    if text is not None:
        file.write_text(text)
    done = await run("topology", "apply", str(file))
    assert done.code == 2
    assert "fabric.yaml" in done.err
    assert why in done.err
