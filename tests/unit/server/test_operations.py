"""Requests that are answered before they are done, and what becomes of them."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import msgspec
import pytest
from tests.doubles.http import Client
from tests.doubles.postgres import Postgres
from tests.unit.server.projects import client_of

from netwright.model.operations import FABRIC, Action, Operation, OperationState
from netwright.model.resources import Port
from netwright.model.wire import Kind
from netwright.server.commands import AcceptOperation, Caller, CreatePorts, PortDraft, Step
from netwright.server.core import Core
from netwright.server.fabric_commands import AskFabric
from netwright.server.operation_work import StoredStep
from netwright.server.queries import Query

ASYNC = {"prefer": "respond-async"}
WAIT = {"prefer": "wait=20"}
ADMIN = Caller(project_id="admin", is_admin=True)
UNREADABLE = StoredStep(type="CreateNothing", fields=msgspec.Raw(b"{}"))
UNREAD = ("unreadable", "readable")


@pytest.fixture
def admin(core: Core) -> Client:
    return client_of(core, "admin")


async def a_network(admin: Client, cidr: str = "10.0.0.0/24", **attributes: Any) -> str:
    network = {"provider:network_type": "vlan", "provider:physical_network": "physnet1",
               "provider:segmentation_id": 101, **attributes}  # fmt: skip
    answer = await admin.post("/v2.0/networks", {"network": network})
    assert answer.status == 201, answer
    network_id: str = answer.json["network"]["id"]
    subnet = {"network_id": network_id, "ip_version": 4, "cidr": cidr}
    assert (await admin.post("/v2.0/subnets", {"subnet": subnet})).status == 201
    return network_id


async def later(
    client: Client, method: str, path: str, body: Any = None, prefer: str = "respond-async"
) -> str:
    """Ask; the path of the operation."""
    answer = await client.ask(method, path, body, headers={"prefer": prefer})
    assert answer.status == 202, answer
    assert answer.json["state"] == "pending"
    location = answer.headers["location"]
    assert location.endswith(f"/v1/operations/{answer.json['id']}")
    return f"/v1/operations/{answer.json['id']}"


async def end(client: Client, path: str) -> Any:
    answer = await client.ask("GET", path, headers=WAIT)
    assert answer.status == 200, answer
    return answer.json


async def ports(core: Core) -> list[Port]:
    return list(await core.reader.many(Port, Query()))


async def test_a_port_is_made_later(core: Core, admin: Client) -> None:
    network_id = await a_network(admin)
    body = {"port": {"network_id": network_id, "name": "a"}}
    operation = await end(admin, await later(admin, "POST", "/v2.0/ports", body))
    assert (operation["state"], operation["status"], operation["error"]) == ("done", 201, None)
    (port,) = await ports(core)
    assert operation["result"]["port"]["id"] == port.id
    assert operation["result"]["port"]["fixed_ips"][0]["ip_address"] == port.fixed_ips[0].ip_address


async def test_changes_and_deletions_are_made_later(core: Core, admin: Client) -> None:
    network_id = await a_network(admin)
    many = {"ports": [{"network_id": network_id}] * 3}
    operation = await end(admin, await later(admin, "POST", "/v2.0/ports", many))
    one, *others = [port["id"] for port in operation["result"]["ports"]]
    change = {"port": {"name": "changed"}}
    operation = await end(admin, await later(admin, "PUT", f"/v2.0/ports/{one}", change))
    assert (operation["status"], operation["result"]["port"]["name"]) == (200, "changed")
    changes = {"ports": [{"id": each, "name": each} for each in others]}
    operation = await end(admin, await later(admin, "PUT", "/v2.0/ports", changes))
    assert [port["name"] for port in operation["result"]["ports"]] == others
    operation = await end(admin, await later(admin, "DELETE", f"/v2.0/ports/{one}"))
    assert (operation["status"], operation["result"]) == (204, None)
    gone = {"ports": [{"id": each} for each in others]}
    await end(admin, await later(admin, "DELETE", "/v2.0/ports", gone))
    assert await ports(core) == []


async def test_all_or_none_of_it_is_done(core: Core, admin: Client) -> None:
    network_id = await a_network(admin, "10.0.0.0/29")  # 5 addresses
    many = {"ports": [{"network_id": network_id}] * 6}
    operation = await end(admin, await later(admin, "POST", "/v2.0/ports", many))
    assert (operation["state"], operation["status"], operation["result"]) == ("failed", 409, None)
    assert operation["error"]["type"] == "IpAddressGenerationFailure"
    assert operation["error"]["fault"] == "caller"
    assert await ports(core) == []


async def test_each_by_itself_if_the_client_prefers(core: Core, admin: Client) -> None:
    network_id = await a_network(admin, "10.0.0.0/29")
    good, bad = {"network_id": network_id}, {"network_id": network_id, "mac_address": "no"}
    many = {"ports": [good, bad, *[good] * 5]}
    wish = "respond-async, handling=lenient"
    operation = await end(admin, await later(admin, "POST", "/v2.0/ports", many, wish))
    outcomes = operation["result"]["ports"]
    assert [each["status"] for each in outcomes] == [201, 400, 201, 201, 201, 201, 409]
    assert outcomes[1]["NeutronError"]["type"] == "InvalidInput"
    assert outcomes[6]["NeutronError"]["type"] == "IpAddressGenerationFailure"
    made = {each["port"]["id"] for each in outcomes if "port" in each}
    assert {port.id for port in await ports(core)} == made


async def test_what_is_wrong_already_is_said_at_once(admin: Client) -> None:
    network_id = await a_network(admin)
    bad = {"port": {"network_id": network_id, "mac_address": "no"}}
    answer = await admin.ask("POST", "/v2.0/ports", bad, headers=ASYNC)
    assert (answer.status, answer.error["type"]) == (400, "InvalidInput")


async def test_what_is_gone_since_is_not_in_the_result(admin: Client) -> None:
    network_id = await a_network(admin)
    path = await later(admin, "POST", "/v2.0/ports", {"ports": [{"network_id": network_id}] * 2})
    one, two = (await end(admin, path))["result"]["ports"]
    await admin.ask("DELETE", f"/v2.0/ports/{one['id']}")
    assert [port["id"] for port in (await end(admin, path))["result"]["ports"]] == [two["id"]]


async def test_a_unique_name_brings_back_the_same_port(core: Core, admin: Client) -> None:
    network_id = await a_network(admin)
    body = {"port": {"network_id": network_id, "unique_name": "web-0"}}
    paths = [await later(admin, "POST", "/v2.0/ports", body) for _ in range(5)]
    operations = [await end(admin, path) for path in paths]
    assert sorted(each["status"] for each in operations) == [200, 200, 200, 200, 201]
    assert len(await ports(core)) == 1


async def test_operations_are_their_projects_own(core: Core, admin: Client) -> None:
    network_id = await a_network(admin, shared=True)
    alice, bob = client_of(core, "alice"), client_of(core, "bob")
    path = await later(alice, "POST", "/v2.0/ports", {"port": {"network_id": network_id}})
    operation = await end(alice, path)
    assert "binding:host_id" not in operation["result"]["port"]
    refused = await bob.get(path)
    missing = await bob.get("/v1/operations/0190c9d2-0000-7000-8000-000000000001")
    assert (refused.status, missing.status) == (404, 404)
    assert refused.json["error"]["type"] == missing.json["error"]["type"] == "OperationNotFound"
    assert (await end(admin, path))["result"]["port"]["binding:host_id"] == ""


async def test_a_project_may_not_do_later_what_it_may_not_do(core: Core, admin: Client) -> None:
    network_id = await a_network(admin, shared=True)
    bob = client_of(core, "bob")
    port = {"network_id": network_id, "binding:host_id": "host1"}
    denied = await bob.ask("POST", "/v2.0/ports", {"port": port}, headers=ASYNC)
    assert denied.status == 403
    (alices,) = [
        (await client_of(core, "alice").post("/v2.0/ports", {"port": {"network_id": network_id}}))
    ]
    path = f"/v2.0/ports/{alices.json['port']['id']}"
    assert (await bob.ask("DELETE", path, headers=ASYNC)).status == 404


async def test_operations_are_watched(core: Core, admin: Client) -> None:
    network_id = await a_network(admin)
    lines = core.watch(after=None, kinds=frozenset({Kind.OPERATION}), host=None)
    seen: list[Any] = []

    async def watch() -> None:
        async for chunk in lines:
            seen.extend(json.loads(line) for line in chunk.splitlines())
            if any(line.get("object", {}).get("state") == "done" for line in seen):
                return

    watching = asyncio.create_task(watch())
    path = await later(admin, "POST", "/v2.0/ports", {"port": {"network_id": network_id}})
    async with asyncio.timeout(20):
        await watching
    puts = [line for line in seen if line["type"] == "put"]
    assert {line["id"] for line in puts} == {path.rpartition("/")[2]}
    assert puts[-1]["object"]["state"] == "done"


async def test_the_fabric_controller_hears_of_its_own_operations_alone(core: Core) -> None:
    """Other projects' are many, and none of its business: in a snapshot, since a cursor, live."""

    async def told(after: str | None) -> tuple[list[str], str]:
        """Ids until the stream is quiet, with its cursor."""
        seen: list[str] = []
        kinds = frozenset({Kind.OPERATION})
        stream = core.watch(after=after, kinds=kinds, host=None, is_fabrics=True)
        async with aclosing(stream) as chunks:  # type: ignore[type-var]
            async for chunk in chunks:
                for line in map(json.loads, chunk.splitlines()):
                    if line["type"] == "heartbeat":
                        return seen, line["cursor"]
                    seen += [line["id"]] if line["type"] == "put" else []
        raise AssertionError("the stream has ended")

    async def two(number: int) -> None:
        await accepted(core, f"theirs{number}", ())
        own = Operation(
            id=f"own{number}", project_id="admin", collection=FABRIC, action=Action.PLAN
        )
        await core.commit(AskFabric(caller=ADMIN, operation=own))

    await two(1)
    seen, cursor = await told(None)
    assert seen == ["own1"]
    await two(2)
    seen, cursor = await told(cursor)
    assert seen == ["own2"]
    live = core.watch(after=cursor, kinds=frozenset({Kind.OPERATION}), host=None, is_fabrics=True)
    async with aclosing(live) as chunks:  # type: ignore[type-var]
        await anext(chunks)  # the heartbeat
        await two(3)
        assert [json.loads(line)["id"] for line in (await anext(chunks)).splitlines()] == ["own3"]


def drafts(network_id: str, *ids: str) -> tuple[Step, ...]:
    made = tuple(PortDraft(id=id_, project_id="admin", network_id=network_id) for id_ in ids)
    return (CreatePorts(caller=ADMIN, drafts=made),)


async def accepted(core: Core, id_: str, steps: tuple[Step, ...]) -> None:
    """As if the process died right after it: nobody here is told to do it."""
    operation = Operation(
        id=id_, project_id="admin", collection="ports", action=Action.CREATE, many=True
    )
    await core.commit(AcceptOperation(caller=ADMIN, operation=operation, steps=steps))


async def test_an_operation_survives_a_restart(database_url: str) -> None:
    core = await Core.open(database_url)
    await core.start()
    network_id = await a_network(client_of(core, "admin"))
    await accepted(core, "op", drafts(network_id, "a", "b"))
    await core.close()
    core = await Core.open(database_url)
    await core.start()
    try:
        operation = await core.operation("op", 20)
        assert operation is not None
        assert operation.state is OperationState.DONE
        assert [(one.status, one.id) for one in operation.outcomes] == [(201, "a"), (201, "b")]
        assert {port.id for port in await ports(core)} == {"a", "b"}
    finally:
        await core.close()


async def test_what_another_release_wrote_holds_nobody_up(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    core = await Core.open(database_url)
    await core.start()
    network_id = await a_network(client_of(core, "admin"))
    with monkeypatch.context() as other:
        other.setattr("netwright.server.operations.stored", lambda _: (UNREADABLE,))
        await accepted(core, "unreadable", drafts(network_id, "a"))
    await accepted(core, "readable", drafts(network_id, "b"))
    await core.close()
    core = await Core.open(database_url)
    await core.start()
    try:
        unreadable, readable = [await core.operation(each, 20) for each in UNREAD]
        assert unreadable is not None
        assert readable is not None
        assert (unreadable.state, readable.state) == (OperationState.FAILED, OperationState.DONE)
        assert {port.id for port in await ports(core)} == {"b"}
    finally:
        await core.close()


async def test_old_operations_are_forgotten(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("netwright.server.upkeep._CHORES_EVERY_S", 0.0)
    now = 1_000_000.0
    core = await Core.open(database_url, clock=lambda: now)
    await core.start()
    try:
        network_id = await a_network(client_of(core, "admin"))
        await core.defer(ADMIN, _operation("old"), drafts(network_id, "a"))
        assert (await core.operation("old", 20)) is not None
        now += 24 * 3600.0 + 1
        async with asyncio.timeout(30):
            while await core.operation("old", 0.5):
                pass
        assert {port.id for port in await ports(core)} == {"a"}
    finally:
        await core.close()


def _operation(id_: str) -> Operation:
    return Operation(
        id=id_, project_id="admin", collection="ports", action=Action.CREATE, many=True
    )


async def test_a_defect_ends_an_operation(core: Core, monkeypatch: pytest.MonkeyPatch) -> None:
    def defective(*_: Any) -> Any:
        raise RuntimeError("made to fail")

    network_id = await a_network(client_of(core, "admin"))
    monkeypatch.setattr("netwright.server.ports.decisions.choose_mac", defective)
    await core.defer(ADMIN, _operation("op"), drafts(network_id, "a"))
    operation = await core.operation("op", 20)
    assert operation is not None
    assert operation.failure is not None
    assert (operation.state, operation.failure.type) == (
        OperationState.FAILED, "InternalServerError",
    )  # fmt: skip


@pytest.fixture
async def two_cores(postgres_server: Postgres) -> AsyncIterator[list[Core]]:
    url = postgres_server.new_database()
    cores = [await Core.open(url) for _ in range(2)]
    for core in cores:
        await core.start()
    yield cores
    for core in cores:
        await core.close()


async def test_two_processes_do_it_once(two_cores: list[Core]) -> None:
    network_id = await a_network(client_of(two_cores[0], "admin"))
    for round_ in range(5):
        id_ = f"op{round_}"
        await accepted(two_cores[0], id_, drafts(network_id, *(f"{id_}-{n}" for n in range(20))))
        for core in two_cores:
            await core._performer.resume(2e9)
        ended = await asyncio.gather(*(core.operation(id_, 20) for core in two_cores))
        assert all(each and each.state.is_final for each in ended)
        assert ended[0] == ended[1]
    assert len(await ports(two_cores[1])) == 100
