"""Projects do not reach each other, edge and core together: what is another's is not found."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.doubles.http import Client

from netwright.server.api.app import application
from netwright.server.api.edge import Edge
from netwright.server.auth import TokenAuthenticator
from netwright.server.commands import Caller
from netwright.server.core import Core
from netwright.server.metrics import Metrics


class ByName(TokenAuthenticator):
    """A double that knows projects: the token is the project's name, `admin` is the admin."""

    def __init__(self) -> None:
        super().__init__("admin", b"x")

    def caller(self, headers: Any) -> Caller:
        name = headers[b"x-auth-token"].decode()
        return Caller(project_id=name, is_admin=name == "admin")


@pytest.fixture
async def core(tmp_path: Path) -> AsyncIterator[Core]:
    core = Core.open(tmp_path / "netwright.db")
    await core.start()
    yield core
    await core.close()


def _client(core: Core, project: str) -> Client:
    edge = Edge(core, ByName(), Metrics(), body_bytes_max=1 << 20)
    return Client(application(edge), {"x-auth-token": project})


async def _made(client: Client, name: str, **attributes: Any) -> str:
    answer = await client.post(f"/v2.0/{name}s", {name: attributes})
    assert answer.status == 201, answer
    made: str = answer.json[name]["id"]
    return made


async def _network(client: Client, vlan: int, **attributes: Any) -> dict[str, str]:
    network = await _made(
        client,
        "network",
        **{
            "provider:network_type": "vlan",
            "provider:physical_network": "physnet1",
            "provider:segmentation_id": vlan,
            "project_id": "owner",
            **attributes,
        },
    )
    subnet = await _made(
        client,
        "subnet",
        network_id=network,
        ip_version=4,
        cidr="10.0.0.0/24",
        project_id="owner",
    )
    port = await _made(client, "port", network_id=network, project_id="owner")
    return {"network": network, "subnet": subnet, "port": port}


async def test_what_is_anothers_is_not_found(core: Core) -> None:
    admin, owner, other = (_client(core, name) for name in ("admin", "owner", "other"))
    ids = await _network(admin, 101)
    for name, id_ in ids.items():
        path = f"/v2.0/{name}s/{id_}"
        body = {name: {"name": "mine"}}
        assert (await other.get(path)).status == 404
        assert (await other.put(path, body)).status == 404
        assert (await other.ask("DELETE", path)).status == 404
        assert (await other.get(f"/v2.0/{name}s")).json == {f"{name}s": []}
        assert (await other.get(f"/v2.0/{name}s?id={id_}")).json == {f"{name}s": []}
        assert (await owner.put(path, body)).status == 200
        assert len((await owner.get(f"/v2.0/{name}s")).json[f"{name}s"]) == 1
    on_it = {"network_id": ids["network"]}
    assert (await other.post("/v2.0/ports", {"port": on_it})).status == 404
    subnet = {**on_it, "ip_version": 4, "cidr": "10.1.0.0/24"}
    assert (await other.post("/v2.0/subnets", {"subnet": subnet})).status == 404
    for name in ("port", "subnet", "network"):
        assert (await owner.ask("DELETE", f"/v2.0/{name}s/{ids[name]}")).status == 204


async def test_a_shared_network_is_used_and_not_changed(core: Core) -> None:
    admin, other = _client(core, "admin"), _client(core, "other")
    ids = await _network(admin, 102, shared=True)
    port = await _made(other, "port", network_id=ids["network"])
    assert [one["id"] for one in (await other.get("/v2.0/ports")).json["ports"]] == [port]
    assert len((await other.get("/v2.0/networks?shared=True")).json["networks"]) == 1
    assert len((await other.get("/v2.0/subnets")).json["subnets"]) == 1
    for name in ("network", "subnet"):
        path = f"/v2.0/{name}s/{ids[name]}"
        assert (await other.get(path)).status == 200
        assert (await other.put(path, {name: {"name": "mine"}})).status == 403
        assert (await other.ask("DELETE", path)).status == 403


async def test_unique_names_are_each_projects_own(core: Core) -> None:
    admin, owner, other = (_client(core, name) for name in ("admin", "owner", "other"))
    network = (await _network(admin, 103, shared=True))["network"]
    body = {"port": {"network_id": network, "unique_name": "web"}}
    first = await owner.post("/v2.0/ports", body)
    again = await owner.post("/v2.0/ports", body)
    theirs = await other.post("/v2.0/ports", body)
    assert (first.status, again.status, theirs.status) == (201, 200, 201)
    assert again.json["port"]["id"] == first.json["port"]["id"] != theirs.json["port"]["id"]
    elsewhere = {**body["port"], "fixed_ips": [{"ip_address": "10.0.0.99"}]}
    conflict = await owner.post("/v2.0/ports", {"port": elsewhere})
    assert (conflict.status, conflict.error["type"]) == (409, "UniqueNameConflict")
    assert first.json["port"]["id"] in conflict.error["message"]
