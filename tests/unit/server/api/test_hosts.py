"""The native API: hosts and their agents, and what an agent's credential is good for."""

import pytest
from tests.doubles.http import Client
from tests.doubles.service import ServiceDouble

from netwright.model.wire import Kind
from netwright.server.auth import TokenAuthenticator
from netwright.server.commands import ApplyReports, FenceHost, RegisterHost, SeeDevices

NETWORK = "0190c9d2-0000-7000-8000-000000000001"
REGISTRATION = {
    "epoch": "e1",
    "driver": "ovs",
    "physical_networks": {"physnet1": "br-bond"},
    "nics": [{"name": "eth0", "link_up": True}],
    "management_ip": "192.0.2.1",
}
REPORT = {"port_id": "p", "plane": "underlay", "generation": 1, "status": "up"}


async def test_an_agent_registers_and_reports(agent: Client, service: ServiceDouble) -> None:
    answer = await agent.put("/v1/hosts/h1", REGISTRATION)
    assert (answer.status, answer.json["name"], answer.json["state"]) == (200, "h1", "up")
    command = service.commands[-1]
    assert isinstance(command, RegisterHost)
    assert (command.caller.host, command.registration.nics[0].name) == ("h1", "eth0")
    assert (await agent.post("/v1/hosts/h1/heartbeat", {"epoch": "e1"})).status == 200
    answer = await agent.post("/v1/hosts/h1/devices", {"epoch": "e1", "port_ids": ["x"]})
    assert answer.json == {"ports": []}
    assert isinstance(service.commands[-1], SeeDevices)
    answer = await agent.post("/v1/reports", {"host": "h1", "epoch": "e1", "reports": [REPORT]})
    assert answer.json == {"results": [{"id": "p", "result": "applied"}]}
    assert isinstance(service.commands[-1], ApplyReports)
    assert (await agent.get("/v1/hosts/h1")).status == 200


@pytest.mark.parametrize(
    ("method", "target", "body"),
    [
        ("PUT", "/v1/hosts/h2", REGISTRATION),
        ("POST", "/v1/hosts/h2/heartbeat", {"epoch": "e"}),
        ("POST", "/v1/hosts/h2/devices", {"epoch": "e", "port_ids": []}),
        ("POST", "/v1/reports", {"host": "h2", "epoch": "e"}),
        ("GET", "/v1/hosts/h2", None),
        ("GET", "/v1/hosts", None),
        ("GET", "/v1/watch", None),
        ("GET", "/v1/watch?host=h2", None),
        ("POST", "/v1/hosts/h1/fence", {"reason": "x"}),
        ("POST", "/v1/hosts/h1/credential", None),
        ("GET", "/v2.0/ports", None),
        ("POST", "/v2.0/ports", {"port": {"network_id": NETWORK}}),
        ("GET", f"/v1/ports/{NETWORK}/history", None),
    ],
)
async def test_an_agent_speaks_for_its_own_host_only(
    agent: Client, service: ServiceDouble, method: str, target: str, body: object
) -> None:
    answer = await agent.ask(method, target, body)
    assert (answer.status, answer.error["type"]) == (403, "PolicyNotAuthorized")
    assert "credential of host h1" in answer.error["message"]
    assert not service.commands


async def test_projects_have_no_business_with_hosts(member: Client) -> None:
    for target in ("/v1/hosts", "/v1/hosts/h1", "/v1/watch"):
        assert (await member.get(target)).status == 403


async def test_operators_fence_with_a_reason(client: Client, service: ServiceDouble) -> None:
    answer = await client.post("/v1/hosts/h1/fence", {"reason": "on fire"})
    assert (answer.status, answer.error["type"]) == (404, "HostNotFound")
    await client.put("/v1/hosts/h1", REGISTRATION)
    assert (await client.post("/v1/hosts/h1/fence", {"reason": "on fire"})).status == 200
    command = service.commands[-1]
    assert isinstance(command, FenceHost)
    assert command.reason == "on fire"
    assert (await client.ask("POST", "/v1/hosts/h1/unfence")).status == 200
    assert [host["name"] for host in (await client.get("/v1/hosts")).json["hosts"]] == ["h1"]


@pytest.mark.parametrize(
    ("request_line", "body", "named"),
    [
        ("PUT /v1/hosts/h1", {**REGISTRATION, "colour": 1}, "colour"),
        ("PUT /v1/hosts/h1", {"driver": "ovs"}, "epoch"),
        ("PUT /v1/hosts/h1", {**REGISTRATION, "nics": "x"}, "nics"),
        ("PUT /v1/hosts/h1", {**REGISTRATION, "epoch": ""}, "epoch"),
        ("PUT /v1/hosts/-h1", REGISTRATION, "host"),
        ("POST /v1/hosts/h1/fence", {"reason": ""}, "reason"),
        ("POST /v1/hosts/h1/fence", {"reason": "\0"}, "reason"),
        (
            "POST /v1/reports",
            {"host": "h", "epoch": "e", "reports": [{**REPORT, "status": "fine"}]},
            "reports",
        ),
        (
            "POST /v1/reports",
            {"host": "h", "epoch": "e", "reports": [{**REPORT, "network_id": "n"}]},
            "reports",
        ),
        ("GET /v1/watch?kinds=port,colour", None, "kinds"),
        ("GET /v1/watch?colour=1", None, "colour"),
        ("GET /v1/watch?host=a&host=b", None, "host"),
        ("GET /v1/watch?host=%ff", None, "query"),
    ],
)
async def test_bad_input_is_named_in_the_native_form(
    client: Client, service: ServiceDouble, request_line: str, body: object, named: str
) -> None:
    method, target = request_line.split()
    answer = await client.ask(method, target, body)
    assert answer.status == 400, answer
    assert answer.json["error"]["fault"] == "caller"
    assert named in answer.json["error"]["message"]
    assert not service.commands


async def test_a_credential_makes_an_agent(client: Client, agent: Client) -> None:
    answer = await client.ask("POST", "/v1/hosts/h1/credential")
    assert answer.json == {"host": "h1", "token": agent.headers["x-auth-token"]}


async def test_a_watch_streams_lines(agent: Client, service: ServiceDouble) -> None:
    service.lines = [b'{"type":"put"}\n', b'{"type":"snapshot_end"}\n']
    answer = await agent.get("/v1/watch?host=h1&kinds=port,network&after=7")
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/x-ndjson"
    assert answer.body == b"".join(service.lines)
    assert service.watched == [
        {"after": "7", "kinds": frozenset({Kind.PORT, Kind.NETWORK}), "host": "h1"}
    ]
    await agent.get("/v1/watch?host=h1")
    assert service.watched[-1] == {"after": None, "kinds": frozenset(Kind), "host": "h1"}


async def test_a_watch_of_the_fabric_controller_is_known_as_such(
    client: Client, service: ServiceDouble
) -> None:
    token = (await client.ask("POST", "/v1/fabric/credential")).json["token"]
    watch = "/v1/watch?kinds=operation"
    answer = await client.ask("GET", watch, headers={"x-auth-token": token})
    assert answer.status == 200
    await client.ask("GET", watch)
    by_controller, by_admin = service.watched
    assert by_controller == {**by_admin, "is_fabrics": True}


async def test_history_and_explanation(client: Client, member: Client) -> None:
    network = (await client.post("/v2.0/networks", {"network": {}})).json["network"]["id"]
    body = {"port": {"network_id": network, "binding:host_id": "h9"}}
    port = (await client.post("/v2.0/ports", body)).json["port"]["id"]
    history = (await client.get(f"/v1/ports/{port}/history")).json
    assert history["history"][0]["event"] == "bind"
    explanation = (await client.get(f"/v1/ports/{port}/explain")).json
    assert explanation["state"] == "WIRING"
    assert "Host h9 has never registered" in explanation["text"]
    for what in ("history", "explain"):
        answer = await member.get(f"/v1/ports/{port}/{what}")
        assert (answer.status, answer.json["error"]["type"]) == (404, "PortNotFound")


async def test_a_deleted_hosts_credential_is_revoked(
    client: Client, agent: Client, authenticator: TokenAuthenticator
) -> None:
    assert (await agent.ask("DELETE", "/v1/hosts/h1")).status == 403
    assert (await agent.put("/v1/hosts/h1", REGISTRATION)).status == 200
    assert (await client.ask("DELETE", "/v1/hosts/h1")).status == 204
    assert (await agent.put("/v1/hosts/h1", REGISTRATION)).status == 401
    agent.headers["x-auth-token"] = authenticator.host_credential("h1")
    assert (await agent.put("/v1/hosts/h1", REGISTRATION)).status == 200
