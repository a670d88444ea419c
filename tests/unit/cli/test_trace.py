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
        "It is not traced beyond 2 devices. red is a fabric network.\n  Ping it.\n",
    )


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
