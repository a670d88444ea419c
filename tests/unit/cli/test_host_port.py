"""`netwright host` and `port` against a real HTTP server: output, words, exit codes."""

import asyncio
import json
import os
import re
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml
from tests.doubles.native_api import HttpDouble

HOST = {
    "name": "h1",
    "driver": "ovs",
    "state": "up",
    "epoch": "e1",
    "physical_networks": {"physnet1": "br-bond"},
    "management_ip": "10.0.0.11",
    "nics": [
        {"name": "eth0", "link_up": True, "forwarding": True, "active": True},
        {"name": "eth1", "link_up": False, "forwarding": False, "active": False},
    ],
    "conditions": {"redundancy lost": "eth1 of br-bond down"},
    "conditions_since": {"redundancy lost": 30.0},
    "neighbours": {"eth0": "tor1/h1-eth0"},
    "fenced_ports": [],
    "port_fences": [],
    "state_since": 0.0,
    "created_at": 0.0,
    "started_at": 0.0,
    "heard_at": 60.0,
}
PORT = {
    "id": "0b9f1a0e-5a3c-4b6e-9f33-0f2f7f1d9a01",
    "name": "web",
    "status": "ACTIVE",
    "binding:host_id": "h1",
    "mac_address": "fa:16:3e:00:00:01",
    "fixed_ips": [{"subnet_id": "s", "ip_address": "10.0.0.5"}],
}
TRANSITION = {
    "port_id": PORT["id"],
    "number": 4,
    "at": 0.0,
    "event": "plane_up",
    "actor": "agent h1",
    "host": "h1",
    "generation": 2,
    "from_state": "WIRING",
    "to_state": "ACTIVE",
    "binding_state": "up",
    "cause": "",
}


class Done(NamedTuple):
    code: int
    out: str
    err: str


async def run(*arguments: str, **environment: str) -> Done:
    code = "import sys; sys.argv[0] = 'netwright'; from netwright.cli import main; main()"
    path = os.environ.get("PYTHONPATH", "")  # this source, where it is not the one installed
    here = {"PATH": "/usr/bin", "NETWRIGHT_CONFIG": "/dev/null", "PYTHONPATH": path}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        code,
        *arguments,
        env=here | environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(30):
        out, err = await process.communicate()
    assert process.returncode is not None
    return Done(process.returncode, out.decode(), err.decode())


@pytest.fixture
async def server() -> AsyncIterator[HttpDouble]:
    double = HttpDouble()
    double.answer("GET", "/v1/hosts", json.dumps({"hosts": [HOST]}))
    double.answer("GET", "/v1/hosts/h1", json.dumps(HOST))
    double.answer("POST", "/v1/hosts/h1/fence", json.dumps(HOST | {"state": "fenced"}))
    double.answer("GET", "/v2.0/ports", json.dumps({"ports": [PORT]}))
    about = f"/v1/ports/{PORT['id']}"
    double.answer("GET", f"{about}/history", json.dumps({"history": [TRANSITION]}))
    double.answer("GET", f"{about}/explain", json.dumps({"text": "Port web is ACTIVE."}))
    async with double.serving():
        yield double


async def test_a_table_in_a_pipe_is_plain_text(server: HttpDouble) -> None:
    done = await run("host", "list", "--server", server.url)
    assert done.code == 0
    head, line = done.out.splitlines()
    assert re.split(r" {2,}", head) == [
        "Host",
        "State",
        "Since",
        "Driver",
        "Management IP",
        "NICs",
        "Conditions",
    ]
    assert line.startswith("h1    up     1970-01-01 00:00:00Z  ovs     10.0.0.11")
    assert "eth0 active, eth1 down" in line
    assert "redundancy lost: eth1 of br-bond down" in line


async def test_nics_say_which_one_is_in_use(server: HttpDouble) -> None:
    nics = [
        {"name": "eth0", "link_up": True, "forwarding": False, "active": False},
        {"name": "eth1", "link_up": True, "forwarding": True, "active": True},
        {"name": "eth2", "link_up": True, "forwarding": True, "active": False},
    ]
    server.answer("GET", "/v1/hosts/h1", json.dumps({**HOST, "nics": nics}))
    done = await run("host", "show", "h1", "--server", server.url)
    assert "eth0 up without a path, eth1 active, eth2 standby" in done.out


async def test_a_host_shows_which_ports_its_leaves_drop(server: HttpDouble) -> None:
    fence = {
        "port_id": "p-1",
        "generation": 3,
        "macs": ["fa:16:3e:00:00:01"],
        "state": "asked",
        "asked_at": 30.0,
        "since": 30.0,
        "cause": "switch leaf2 does not answer",
    }
    server.answer("GET", "/v1/hosts/h1", json.dumps({**HOST, "port_fences": [fence]}))
    done = await run("host", "show", "h1", "--server", server.url)
    assert "p-1 asked (since 1970-01-01 00:00:30Z): switch leaf2 does not answer" in done.out


async def test_json_and_yaml_are_what_the_api_says(server: HttpDouble) -> None:
    as_json = await run("host", "show", "h1", "--output", "json", NETWRIGHT_URL=server.url)
    assert json.loads(as_json.out) == HOST
    as_yaml = await run("host", "list", "-o", "yaml", NETWRIGHT_URL=server.url)
    assert yaml.safe_load(as_yaml.out) == [HOST]
    assert as_json.err == as_yaml.err == ""


async def test_a_host_shows_since_when_it_says_what(server: HttpDouble) -> None:
    done = await run("host", "show", "h1", "--server", server.url)
    assert "redundancy lost: eth1 of br-bond down (since 1970-01-01 00:00:30Z)" in done.out


async def test_a_host_that_is_heard_is_not_fenced_by_mistake(server: HttpDouble) -> None:
    done = await run("host", "fence", "h1", "--server", server.url)
    assert (done.code, done.out) == (1, "")
    assert not any(server.bodies)  # nothing was sent, only asked
    assert "its agent was heard at 1970-01-01 00:01:00Z" in done.err
    assert "take its 1 ports down" in done.err
    assert "netwright host fence --force h1" in done.err
    forced = await run("host", "fence", "h1", "--force", "--server", server.url)
    assert forced.code == 0


async def test_fencing_gives_a_reason_and_says_what_next(server: HttpDouble) -> None:
    server.answer("GET", "/v1/hosts/h1", json.dumps(HOST | {"state": "unknown"}))
    arguments = ("host", "fence", "h1", "--reason", "burnt", "--output", "json")
    done = await run(*arguments, NETWRIGHT_URL=server.url)
    assert json.loads(server.bodies[-1]) == {"reason": "burnt"}
    assert json.loads(done.out)["state"] == "fenced"
    assert "netwright host unfence h1" in done.err


async def test_a_credential_is_printed_alone_for_a_file(server: HttpDouble) -> None:
    token = json.dumps({"host": "h1", "token": "agent.h1.abc"})
    server.answer("POST", "/v1/hosts/h1/credential", token)
    done = await run("host", "credential", "h1", "--server", server.url)
    assert (done.code, done.out, done.err) == (0, "agent.h1.abc\n", "")


async def test_a_host_that_is_gone_is_deleted(server: HttpDouble) -> None:
    server.answer("DELETE", "/v1/hosts/h1", "", 204)
    done = await run("host", "delete", "h1", "--server", server.url)
    assert (done.code, done.out) == (0, "")
    assert "Host h1 is deleted" in done.err
    assert server.asked[-1].method == "DELETE"


async def test_ports_with_filters(server: HttpDouble) -> None:
    done = await run("port", "list", "--host", "h1", "--status", "active", "--server", server.url)
    assert done.code == 0
    assert dict(server.asked[-1].query) == {"binding:host_id": "h1", "status": "ACTIVE"}
    assert "10.0.0.5" in done.out


async def test_history_and_explanation_by_name(server: HttpDouble) -> None:
    history = await run("port", "history", "web", "--server", server.url)
    assert "plane_up" in history.out
    assert "WIRING -> ACTIVE" in history.out
    assert "3 earlier entries were dropped" in history.err
    explanation = await run("port", "explain", "web", "--server", server.url)
    assert explanation.out == "Port web is ACTIVE.\n"


async def test_a_port_is_known_by_its_address(server: HttpDouble) -> None:
    explanation = await run("port", "explain", "FD00:0::5", "--server", server.url)
    assert explanation.out == "Port web is ACTIVE.\n"
    asked = [dict(one.query) for one in server.asked if one.path == "/v2.0/ports"]
    assert asked == [{"fixed_ips": "ip_address=fd00::5"}]


@pytest.mark.parametrize("own", [[], [PORT | {"id": "own", "device_owner": "network:floatingip"}]])
async def test_a_floating_ip_leads_to_the_port_behind_it(
    server: HttpDouble, own: list[dict[str, object]]
) -> None:
    """The floating IP's own port, which only some may see, is not what is asked about."""
    floating = {"port_id": PORT["id"], "fixed_ip_address": "10.0.0.5"}
    server.answer("GET", "/v2.0/ports", json.dumps({"ports": own}))
    server.answer("GET", "/v2.0/floatingips", json.dumps({"floatingips": [floating]}))
    server.answer("GET", f"/v2.0/ports/{PORT['id']}", json.dumps({"port": PORT}))
    done = await run("port", "explain", "203.0.113.5", "--server", server.url)
    assert done.out == "Port web is ACTIVE.\n"
    assert done.err == f"203.0.113.5 is a floating IP of 10.0.0.5, port {PORT['id']}\n"


async def test_a_deleted_port_is_asked_for_by_its_id(server: HttpDouble) -> None:
    server.answer("GET", "/v2.0/ports", json.dumps({"ports": []}))
    done = await run("port", "history", "gone", "--server", server.url)
    assert done.code == 3
    assert "A deleted one is known by its id." in done.err


async def test_an_address_that_several_have_or_none_is_not_guessed_at(server: HttpDouble) -> None:
    ports = [PORT | {"network_id": "red"}, PORT | {"id": "other", "network_id": "blue"}]
    server.answer("GET", "/v2.0/ports", json.dumps({"ports": ports}))
    several = await run("port", "show", "10.0.0.5", "--server", server.url)
    assert (several.code, several.out) == (1, "")
    assert "2 ports have the address 10.0.0.5" in several.err
    assert f"{PORT['id']} in network red, other in network blue" in several.err
    server.answer("GET", "/v2.0/ports", json.dumps({"ports": []}))
    server.answer("GET", "/v2.0/floatingips", json.dumps({"floatingips": []}))
    none = await run("port", "history", "10.0.0.5", "--server", server.url)
    assert none.code == 3
    assert "No port that you may see has the address 10.0.0.5" in none.err


@pytest.mark.parametrize(
    ("answer", "status", "code"),
    [("PolicyNotAuthorized", 403, 5), ("HTTPUnauthorized", 401, 5), ("HostNotFound", 404, 3),
     ("InternalServerError", 500, 1), ("Conflict", 409, 1)],
)  # fmt: skip
async def test_exit_codes(server: HttpDouble, answer: str, status: int, code: int) -> None:
    error = {"type": answer, "fault": "caller", "message": "no", "next": "try that"}
    server.answer("GET", "/v1/hosts/h1", json.dumps({"error": error}), status)
    done = await run("host", "show", "h1", "--server", server.url)
    assert (done.code, done.out) == (code, "")
    assert done.err.startswith("netwright: no\n")
    if status == 401:  # the server speaks of headers, which whoever types commands does not send
        assert "by --token-file, or set NETWRIGHT_TOKEN" in done.err
    else:
        assert done.err.endswith("\n  try that\n")


async def test_an_unreachable_server_is_exit_code_4_and_named() -> None:
    done = await run("port", "list", "--server", "http://127.0.0.1:9")
    assert done.code == 4
    assert "http://127.0.0.1:9 cannot be reached" in done.err


async def test_the_token_comes_from_a_file_or_the_environment(
    server: HttpDouble, tmp_path: Path
) -> None:
    file = tmp_path / "token"
    file.write_text("from-file\n")
    arguments = ("host", "list", "--server", server.url)
    await run(*arguments, NETWRIGHT_TOKEN="from-environment")
    await run(*arguments, "--token-file", str(file), NETWRIGHT_TOKEN="from-environment")
    sent = [request.headers.get("X-Auth-Token") for request in server.asked]
    assert sent == ["from-environment", "from-file"]
    missing = await run(*arguments, "--token-file", str(tmp_path / "missing"))
    assert missing.code == 2
    assert "cannot be read" in missing.err
