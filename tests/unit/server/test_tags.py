"""Tags, and the other standard attributes, of every resource; edge and core together."""

from typing import Any
from urllib.parse import quote

import msgspec
import pytest
from tests.doubles.http import Answer, Client
from tests.unit.server.projects import client_of
from tests.unit.server.test_bulk import a_network, some_ports

from netwright.model.resources import Port
from netwright.model.wire import HostRegistration, Kind
from netwright.server.api.ids import new_id
from netwright.server.commands import Caller, RegisterHost
from netwright.server.core import Core
from netwright.server.store import events

ADMIN = Caller(project_id="p", is_admin=True)
ON_HOSTS = ("network", "subnet", "port")
PLAIN: dict[str, dict[str, Any]] = {
    "router": {},
    "security_group": {},
    "subnetpool": {"prefixes": ["10.0.0.0/8"]},
}
KINDS = (*ON_HOSTS, *PLAIN)
KINDS_TOLD = {kind: Kind("subnet_pool" if kind == "subnetpool" else kind) for kind in KINDS}


@pytest.fixture
def admin(core: Core) -> Client:
    return client_of(core, "admin")


async def one_of_each(client: Client) -> dict[str, str]:
    network = await a_network(client)
    (port,) = await some_ports(client, network, 1)
    (subnet,) = (await client.get(f"/v2.0/subnets?network_id={network}")).json["subnets"]
    plain = {kind: await a_plain(client, kind, "one") for kind in PLAIN}
    return {"network": network, "subnet": subnet["id"], "port": port, **plain}


async def a_plain(client: Client, kind: str, name: str) -> str:
    answer = await client.post(collection(kind), {kind: {**PLAIN[kind], "name": name}})
    assert answer.status == 201, answer
    id_: str = answer.json[kind]["id"]
    return id_


def collection(kind: str) -> str:
    return f"/v2.0/{kind.replace('_', '-')}s"


async def tag(client: Client, path: str, *tags: str, **headers: str) -> Answer:
    return await client.put(f"{path}/tags", {"tags": tags}, **headers)


async def found(client: Client, kind: str, query: str) -> set[str]:
    answer = await client.get(f"{collection(kind)}?{query}")
    assert answer.status == 200, answer
    return {one["name"] for one in answer.json[f"{kind}s"]}


@pytest.mark.parametrize("kind", KINDS)
async def test_they_are_set_added_and_removed(admin: Client, kind: str) -> None:
    id_ = (await one_of_each(admin))[kind]
    path = f"{collection(kind)}/{id_}"

    async def shown() -> tuple[list[str], int]:
        one = (await admin.get(path)).json[kind]
        assert (await admin.get(f"{path}/tags")).json == {"tags": one["tags"]}
        return one["tags"], one["revision_number"]

    tags, first = await shown()
    assert tags == []
    answer = await tag(admin, path, "red", "blue")
    assert (answer.status, answer.json) == (200, {"tags": ["blue", "red"]})
    assert await shown() == (["blue", "red"], first + 1)
    await tag(admin, path, "blue", "red")
    assert await shown() == (["blue", "red"], first + 1), "nothing has changed"
    answer = await admin.ask("PUT", f"{path}/tags/{quote('grün & gelb')}".replace("%20", " "))
    assert answer.status == 201
    answer = await admin.post(f"{path}/tags", {"tags": ["red", "white"]})
    assert (answer.status, answer.json) == (201, {"tags": ["red", "white"]})
    assert (await shown())[1] == first + 3
    assert (await admin.get(f"{path}/tags/white")).status == 204
    assert (await admin.ask("DELETE", f"{path}/tags/white")).status == 204
    for method in ("GET", "DELETE"):
        gone = await admin.ask(method, f"{path}/tags/white")
        assert (gone.status, gone.error["type"]) == (404, "TagNotFound")
        assert gone.error["message"] == "Tag white could not be found."
    assert (await admin.ask("DELETE", f"{path}/tags")).status == 204
    assert (await shown())[0] == []


@pytest.mark.parametrize("kind", KINDS)
async def test_filters(admin: Client, core: Core, kind: str) -> None:
    id_ = (await one_of_each(admin))[kind]
    await admin.put(f"{collection(kind)}/{id_}", {kind: {"name": "none"}})
    marks = {"r": ["red"], "rb": ["red", "blue"], "b": ["blue"], "w": ["white"]}
    for n, (name, tags) in enumerate(marks.items()):
        if kind in PLAIN:
            await tag(admin, f"{collection(kind)}/{await a_plain(admin, kind, name)}", *tags)
            continue
        network = await a_network(admin, 200 + n, name=name)
        if kind == "port":
            await some_ports(admin, network, 1, name=name, tags=tags)
            continue
        if kind == "subnet":
            (subnet,) = (await admin.get(f"/v2.0/subnets?network_id={network}")).json["subnets"]
            await admin.put(f"/v2.0/subnets/{subnet['id']}", {"subnet": {"name": name}})
        one = (await admin.get(f"{collection(kind)}?name={name}")).json[f"{kind}s"][0]
        await tag(admin, f"{collection(kind)}/{one['id']}", *tags)
    default = {"default"} if kind == "security_group" else set()
    for query, names in {
        "tags=red": {"r", "rb"},
        "tags=red,blue": {"rb"},
        "tags=red&tags=blue": {"rb"},
        "tags-any=red,blue": {"r", "rb", "b"},
        "not-tags=red,blue&name=none&name=r&name=b&name=w&name=rb": {"none", "r", "b", "w"},
        "not-tags-any=red,blue": {"none", "w"} | default,
        "tags=red&not-tags=blue": {"r"},
        "tags=green": set(),
        "tags-any=white&name=r": set(),
    }.items():
        assert await found(admin, kind, query) == names, query
    everyone = await admin.get(f"{collection(kind)}?tags=blue&fields=tags")
    assert everyone.json[f"{kind}s"] == [{"tags": ["blue", "red"]}, {"tags": ["blue"]}] or (
        everyone.json[f"{kind}s"] == [{"tags": ["blue"]}, {"tags": ["blue", "red"]}]
    )


async def test_they_go_with_their_resource(admin: Client, core: Core) -> None:
    ids = await one_of_each(admin)
    for kind, id_ in ids.items():
        await tag(admin, f"{collection(kind)}/{id_}", "a", "b")

    async def stored() -> list[Any]:
        return list(await core._database.read(lambda tx: tx.rows("SELECT kind FROM tag")))

    assert len(await stored()) == 12
    for left, kind in ((10, "port"), (8, "router"), (6, "security_group"), (4, "subnetpool")):
        answer = await admin.ask("DELETE", f"{collection(kind)}/{ids[kind]}")
        assert answer.status == 204, answer
        assert len(await stored()) == left
    await admin.ask("DELETE", f"/v2.0/networks/{ids['network']}")
    assert await stored() == []


async def test_watchers_and_hosts_are_told(admin: Client, core: Core) -> None:
    ids = await one_of_each(admin)
    registration = HostRegistration(epoch="e", driver="ovs", physical_networks={"physnet1": "b"})
    await core.commit(RegisterHost(caller=ADMIN, host="h1", registration=registration))
    await admin.put(f"/v2.0/ports/{ids['port']}", {"port": {"binding:host_id": "h1"}})
    for kind, id_ in ids.items():
        await tag(admin, f"{collection(kind)}/{id_}", kind)
    told = await core._database.read(lambda tx: events.events_after(tx, 0, 100))
    for kind in KINDS:
        last = [one for one in told if one.kind is KINDS_TOLD[kind]][-1]
        assert msgspec.json.decode(last.body or b"")["tags"] == [kind]
        assert last.hosts == (frozenset({"h1"}) if kind in ON_HOSTS else frozenset())
    port = await core.reader.one(Port, ids["port"])
    assert port is not None
    assert port.bindings


async def test_of_what_is_anothers(admin: Client, core: Core) -> None:
    ids = await one_of_each(admin)
    other = client_of(core, "other")
    for kind, id_ in ids.items():
        await tag(admin, f"{collection(kind)}/{id_}", "red")
        for method, word, body in (
            ("GET", "", None),
            ("PUT", "", {"tags": ["x"]}),
            ("POST", "", {"tags": ["x"]}),
            ("DELETE", "", None),
            ("GET", "/red", None),
            ("PUT", "/x", None),
            ("DELETE", "/red", None),
        ):
            absent = new_id()
            answers = [
                await other.ask(method, f"{collection(kind)}/{one}/tags{word}", body)
                for one in (id_, absent)
            ]
            assert [answer.status for answer in answers] == [404, 404]
            assert answers[0].error["type"] == "TagResourceNotFound"
            said = [answer.body.decode().replace(absent, id_) for answer in answers]
            assert said[0] == said[1]
    await admin.put(f"/v2.0/networks/{ids['network']}", {"network": {"shared": True}})
    path = f"/v2.0/networks/{ids['network']}"
    assert (await other.get(f"{path}/tags")).json == {"tags": ["red"]}
    assert (await tag(other, path, "mine")).status == 403


@pytest.mark.parametrize(
    ("body", "type_"),
    [
        ({"tags": ["a", "a"]}, "InvalidInput"),
        ({"tags": ["a" * 256]}, "InvalidInput"),
        ({"tags": "red"}, "InvalidInput"),
        ({"tags": [7]}, "InvalidInput"),
        ({"tags": ["\0"]}, "InvalidInput"),
        ({"tags": [str(n) for n in range(501)]}, "InvalidInput"),
        ({}, "HTTPBadRequest"),
        ({"tag": ["a"]}, "HTTPBadRequest"),
    ],
)
async def test_wrong_ones_are_refused(admin: Client, body: Any, type_: str) -> None:
    ids = await one_of_each(admin)
    answer = await admin.put(f"/v2.0/ports/{ids['port']}/tags", body)
    assert (answer.status, answer.error["type"]) == (400, type_)
    assert "tag" in answer.error["message"]
    answer = await admin.ask("PUT", f"/v2.0/ports/{ids['port']}/tags/{'a' * 256}")
    assert (answer.status, answer.error["type"]) == (400, "InvalidInput")


@pytest.mark.parametrize("kind", KINDS)
async def test_if_match_guards_every_change(admin: Client, kind: str) -> None:
    id_ = (await one_of_each(admin))[kind]
    path = f"{collection(kind)}/{id_}"
    revision = (await admin.get(path)).json[kind]["revision_number"]
    old = {"if-match": f"revision_number={revision + 7}"}
    now = {"if-match": f"revision_number={revision}"}
    changes = (
        ("PUT", f"{path}/tags", {"tags": ["x"]}),
        ("PUT", path, {kind: {"description": "d"}}),
        ("DELETE", f"{path}/tags", None),
        ("DELETE", path, None),
    )
    for method, target, body in changes:
        refused = await admin.ask(method, target, body, headers=old)
        assert (refused.status, refused.error["type"]) == (412, "RevisionNumberConstraintFailed")
    assert (await admin.ask("PUT", f"{path}/tags", {"tags": ["x"]}, headers=now)).status == 200
    refused = await admin.ask("PUT", path, {kind: {"description": "d"}}, headers=now)
    assert refused.status == 412, "a change of tags is a change"


@pytest.mark.parametrize("kind", KINDS)
async def test_changed_since(admin: Client, kind: str) -> None:
    id_ = (await one_of_each(admin))[kind]
    await admin.put(f"{collection(kind)}/{id_}", {kind: {"name": "other"}})
    one = (await admin.get(f"{collection(kind)}/{id_}")).json[kind]
    assert one["updated_at"].endswith("Z")
    assert len(one["created_at"]) == len("2024-01-01T00:00:00Z")
    for when, there in (
        (one["updated_at"], {one["name"]}),
        ("2001-01-01", {one["name"]}),
        ("2001-01-01T00:00:00", {one["name"]}),
        ("2001-01-01T00:00:00%2B05:00", {one["name"]}),
        ("2999-01-01T00:00:00Z", set()),
    ):
        assert await found(admin, kind, f"changed_since={when}&name=other") == there
    refused = await admin.get(f"{collection(kind)}?changed_since=yesterday")
    assert (refused.status, refused.error["type"]) == (400, "InvalidInput")
    assert "changed_since" in refused.error["message"]
