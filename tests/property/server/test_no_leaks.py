"""Another project's data never leaks: every route of both APIs, as the server itself describes it.

Project `b` asks for everything by everything: each route with each id of project `a` in its path,
each filter, sort key, marker and attribute of a body with a value of `a`'s in it. Each request is
sent twice, with a value of `a`'s and with one alike that nobody has: the answers must not differ,
but for that value, and nothing of `a`'s may be in either. What a route takes comes from
/openapi.json, so that one added later is asked too; a new collection needs a line in `MAKE`.

What is shared is the exception, by design: project `c` shares a network, an address scope and a
subnet pool. They and the network's subnet may be seen; its ports, segment and hosts may not.
"""

import copy
import re
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import msgspec
import pytest
from tests.doubles.http import Answer, Client
from tests.unit.server.projects import client_of

from netwright.model.wire import HostRegistration
from netwright.server.commands import Caller, RegisterHost
from netwright.server.core import Core

HOST, PHYSNET = "zq-host", "zqphys"
Ids = Mapping[str, str]

MAKE: Mapping[str, Callable[[Ids], dict[str, Any]]] = {
    "address-scopes": lambda _: {"ip_version": 4},
    "subnetpools": lambda ids: {
        "prefixes": [ids["prefix"]],
        "address_scope_id": ids["address-scopes"],
    },
    "security-groups": lambda _: {},
    "security-group-rules": lambda ids: {
        "security_group_id": ids["security-groups"],
        "direction": "ingress",
    },
    "networks": lambda _: {},
    "subnets": lambda ids: {"network_id": ids["networks"], "ip_version": 4, "cidr": ids["cidr"]},
    "ports": lambda ids: {"network_id": ids["networks"]},
    "routers": lambda _: {},
}
"""The body that makes one of each collection, given the ids of those before it."""

ADMINS: Mapping[str, Mapping[str, Any]] = {
    "networks": {"provider:network_type": "vlan", "provider:physical_network": PHYSNET},
    "ports": {"binding:host_id": HOST, "binding:profile": {"key": "zq-profile"}},
}
"""What only an administrator gives, and only administrators are shown."""

SHARED = frozenset({"address-scopes", "subnetpools", "networks"})
VISIBLE = SHARED | {"subnets"}  # of a shared network

WORDS = {"address-scopes": ("name",), "security-group-rules": ("description",)}
"""What each can be told in words, if it is not both a name and a description."""

DEFERRED = {"prefer": "respond-async"}
GHOST = "0190c9d2-0000-7000-8000-00000000dead"
THEIRS = ("zq-u-port", "02:00:00:aa:bb:01", "10.77.0.77", "zqproj-a")
"""Texts of a's that may stand in texts of b's, too."""


def alike(value: str) -> str:
    """What looks like the value, and nobody has."""
    if len(value) == len(GHOST) and value.count("-") == GHOST.count("-"):
        return f"{value[:-4]}dead"
    last = value[-1]
    return value[:-1] + (str((int(last) + 5) % 10) if last.isdecimal() else chr(ord(last) + 5))


class Owned(NamedTuple):
    """What a project has, and the words that nobody else may see."""

    ids: dict[str, str]
    secrets: frozenset[str]


class Pair(NamedTuple):
    """One request in two forms; `values` are what they differ in."""

    method: str
    targets: tuple[str, str]
    bodies: tuple[Any, Any]
    values: tuple[str, str]
    headers: Mapping[str, str] = {}


async def made(
    admin: Client, project: str, vlan: int, prefix: str, *, shared: bool = False
) -> Owned:
    """One of each collection, with words in it that are its own alone."""
    ids = {"cidr": f"{prefix}.0.0/24", "prefix": f"{prefix}.64.0/24"}
    secrets: set[str] = {project, str(vlan)}
    for collection, body in MAKE.items():
        name = name_of(collection)
        named = WORDS.get(collection, ("name", "description"))
        words = {key: f"zq-{project}-{name}-{key}" for key in named}
        tags = [f"zq-{project}-{name}-tag"]
        whole = {**body(ids), **words, **ADMINS.get(collection, {}), "project_id": project}
        if collection == "networks":
            whole |= {"provider:segmentation_id": vlan}
        if collection in SHARED:
            whole |= {"shared": shared}
        if collection == "security-group-rules":
            whole |= {"remote_ip_prefix": f"{prefix}.80.0/24", "protocol": "tcp"}
        if collection == "ports":
            whole |= {
                "device_id": f"zq-{project}-device",
                "device_owner": f"compute:zq-{project}",
                "unique_name": "zq-u-port" if project == "zqproj-a" else f"zq-{project}-unique",
                "mac_address": f"02:00:00:aa:bb:{vlan % 100:02x}",
                "fixed_ips": [{"ip_address": f"{prefix}.0.77"}],
                "allowed_address_pairs": [{"ip_address": f"{prefix}.0.200"}],
                "security_groups": [ids["security-groups"]],
            }
        answer = await admin.post(f"/v2.0/{collection}", {name: whole})
        assert answer.status == 201, answer
        one = answer.json[name]
        ids[collection] = one["id"]
        path = f"/v2.0/{collection}/{one['id']}"
        assert (await admin.put(f"{path}/tags", {"tags": tags})).status in {200, 404}
        if not (shared and collection in VISIBLE):
            secrets |= {one["id"], *words.values(), *tags}
            if collection == "ports":
                secrets |= {whole[key] for key in ("device_id", "device_owner", "unique_name")}
                secrets |= {whole["mac_address"], f"{prefix}.0.77", f"{prefix}.0.200"}
    if shared:
        secrets -= {project}
    else:
        secrets |= {ids["cidr"], ids["prefix"], f"{prefix}.0.1"}
    secrets |= {f"{prefix}.80.0/24", *await defaults(admin, project)}
    return Owned(ids, frozenset(secrets | {HOST, PHYSNET, "zq-profile"}))


async def defaults(admin: Client, project: str) -> set[str]:
    """The ids of the project's security groups and their rules: its default ones, too."""
    found = set()
    for collection in ("security-groups", "security-group-rules"):
        listed = (await admin.get(f"/v2.0/{collection}?project_id={project}")).json
        found |= {one["id"] for one in listed[collection.replace("-", "_")]}
    assert len(found) > 3, "a default group with rules"
    return found


async def with_operation(core: Core, project: str, owned: Owned) -> Owned:
    """And an operation of its own, done."""
    client = client_of(core, project)
    path = f"/v2.0/networks/{owned.ids['networks']}"
    change = {"network": {"admin_state_up": True}}
    asked = await client.ask("PUT", path, change, headers=DEFERRED)
    assert asked.status == 202, asked
    id_ = asked.json["id"]
    ended = await client.ask("GET", f"/v1/operations/{id_}", headers={"prefer": "wait=9"})
    assert ended.json["state"] == "done", ended
    return Owned({**owned.ids, "operations": id_}, owned.secrets | {id_})


def name_of(collection: str) -> str:
    """What one of them is called in bodies."""
    return collection[:-1].replace("-", "_")


_DEPTH_MAX = 4


class Described:
    """What /openapi.json says of the routes."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._document = document

    def operations(self) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
        for path, methods in self._document["paths"].items():
            for method, operation in methods.items():
                yield method.upper(), path, operation

    def resolved(self, schema: Any) -> Any:
        while "$ref" in schema:
            schema = self._document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        return schema

    def choices(self, schema: Any) -> list[Any]:
        schema = self.resolved(schema)
        found = [each for one in schema.get("anyOf", ()) for each in self.choices(one)]
        return found or [schema]

    def filled(self, schema: Any, depth: int = 0) -> Any:
        """A value of the schema, with all that it may have in it."""
        options = [one for one in self.choices(schema) if one.get("type") != "null"]
        one = options[-1] if options else {}
        if "enum" in one:
            return one["enum"][0]
        if one.get("type") == "object":
            properties = one.get("properties", {}) if depth < _DEPTH_MAX else {}
            return {key: self.filled(each, depth + 1) for key, each in properties.items()}
        if one.get("type") == "array":
            return [self.filled(one["items"], depth + 1)] if one.get("items") else []
        if one.get("type") == "string":
            return GHOST if "a-f" in one.get("pattern", "") else "10.77.0.99"
        plain = {"integer": max(one.get("minimum", 1), 1), "number": 1, "boolean": False}
        return plain.get(one.get("type", ""))

    def bodies(self, operation: Mapping[str, Any], base: Any) -> Iterator[Any]:
        """The base with one attribute more, each in turn: wherever one may stand."""
        content = operation.get("requestBody", {}).get("content", {})
        schema = self.resolved(content.get("application/json", {}).get("schema", {}))
        for wrapper, inner in schema.get("properties", {}).items():
            for one in self.choices(inner):
                many = one.get("type") == "array"
                item = self.resolved(one["items"]) if many and "items" in one else one
                own = copy.deepcopy(base) if item.get("type") == "object" else None
                attributes = item.get("properties", {}) if own is not None else {"": item}
                for attribute, form in attributes.items():
                    value = self.filled(form)
                    whole = {**own, attribute: value} if own is not None else value
                    yield {wrapper: [whole] if many else whole}
                if own is not None:
                    yield {wrapper: [own] if many else own}


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The places of all texts."""
    if isinstance(value, str):
        yield path
    elif isinstance(value, Mapping):
        for key, each in value.items():
            yield from leaves(each, (*path, key))
    elif isinstance(value, list):
        for n, each in enumerate(value):
            yield from leaves(each, (*path, n))


def replaced(value: Any, path: tuple[Any, ...], by: str) -> Any:
    whole = copy.deepcopy(value)
    place = whole
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = by
    return whole


def at(value: Any, path: tuple[Any, ...]) -> Any:
    for step in path:
        value = value[step]
    return value


class Spy:
    """Project b, who asks.

    `ghosts` look like the ids of others; `sent` are the words that it has put into its own texts.
    """

    def __init__(self, client: Client, foreign: list[Owned]) -> None:
        self._client = client
        self.secrets = frozenset[str]().union(*(each.secrets for each in foreign))
        self._ids = {id_ for each in foreign for id_ in each.ids.values() if len(id_) == len(GHOST)}
        self._ids &= self.secrets
        self.ghosts = frozenset(map(alike, self._ids))
        self.sent: set[str] = set()
        self.asked = 0
        self.allowed: set[tuple[str, int]] = set()

    def pairs_of_id(self) -> Iterator[tuple[str, str]]:
        yield from ((id_, alike(id_)) for id_ in sorted(self._ids))

    def pairs_of_text(self) -> Iterator[tuple[str, str]]:
        yield from ((text, alike(text)) for text in THEIRS)

    def pairs(self) -> Iterator[tuple[str, str]]:
        yield from ((secret, alike(secret)) for secret in sorted(self.secrets))

    async def tell_apart(self, pair: Pair) -> None:
        """Send both forms; what the answers give away fails the test."""
        told = []
        for target, body, value in zip(pair.targets, pair.bodies, pair.values, strict=True):
            answer = await self._client.ask(pair.method, target, body, headers=pair.headers)
            self.asked += 1
            self._look_for_secrets(pair.method, target, body, answer)
            if pair.method == "POST" and answer.status < 300:
                self.allowed.add((target.removeprefix("/v2.0/"), answer.status))
            if answer.status == 202:
                answer = await self._ended(answer)
                self._look_for_secrets(pair.method, target, body, answer)
            told.append(_shown(pair.method, answer, value))
            await self._undo(pair.method, target, answer)
        assert told[0] == told[1], (pair, told)

    async def ask(self, method: str, target: str) -> None:
        answer = await self._client.ask(method, target)
        self.asked += 1
        self._look_for_secrets(method, target, None, answer)

    async def _ended(self, accepted: Answer) -> Answer:
        """What became of an operation, as the answer that the request would have had."""
        path = f"/v1/operations/{accepted.json['id']}"
        ended = (await self._client.ask("GET", path, headers={"prefer": "wait=9"})).json
        body = ended["result"] if ended["error"] is None else {"error": ended["error"]}
        return Answer(ended["status"], {}, msgspec.json.encode(body))

    async def _undo(self, method: str, target: str, answer: Answer) -> None:
        """Delete what was made, so that the other form finds things as this one did."""
        collection = target.removeprefix("/v2.0/")
        if method != "POST" or collection not in MAKE or answer.status >= 300:
            return
        (found,) = answer.json.values()
        for one in found if isinstance(found, list) else [found]:
            id_ = one.get(name_of(collection), one).get("id")
            gone = await self._client.ask("DELETE", f"{target}/{id_}")
            assert gone.status == 204 or one.get("status", 0) >= 400, gone

    def _look_for_secrets(self, method: str, target: str, body: Any, answer: Answer) -> None:
        said = f"{answer.headers} {answer.body.decode()}"
        asked = f"{target} {body}"
        for secret in self.secrets - self.sent:
            word = rf"(?<![0-9a-zA-Z.-]){re.escape(secret)}(?![0-9a-zA-Z-])"
            leaked = re.search(word, said) and secret not in asked and quote(secret) not in asked
            assert not leaked, (secret, method, target, body, answer)


def _shown(method: str, answer: Answer, value: str) -> Any:
    """What the answer says, but for the value that was sent, and what differs each time."""
    of_this_answer = {"x-openstack-request-id", "content-length", "date"}
    headers = {k: v for k, v in answer.headers.items() if k not in of_this_answer}
    if method != "GET" and answer.status < 300 and answer.body:
        return answer.status, sorted(answer.json)
    body = answer.body.decode().replace(value, "VALUE").replace(quote(value, safe=""), "VALUE")
    return answer.status, headers, body


def requests(described: Described, spy: Spy, own: Ids, shared: Ids) -> Iterator[Pair]:
    """Every route's paths, filters and bodies; those that change something of b's come last."""
    writes: list[Pair] = []
    for method, path, operation in described.operations():
        if not path.startswith(("/v1/", "/v2.0/")):
            continue
        names = re.findall(r"{(\w+)}", path)
        collection = path.split("/")[2]
        mine = {name: own.get(collection, GHOST) for name in names}
        for name in names:
            for values in spy.pairs():
                if "/" in values[0]:
                    continue
                targets = _targets(path, mine, name, values)
                body = next(described.bodies(operation, {}), None)
                yield Pair(method, targets, (body, body), values)
                guarded = {"if-match": "revision_number=1"}
                yield Pair(method, targets, (body, body), values, guarded)
        target = _target(path, mine)
        for parameter in operation.get("parameters", ()):
            if parameter["in"] == "query":
                for values in spy.pairs():
                    queries = [f"{target}?{parameter['name']}={quote(one)}" for one in values]
                    yield Pair(method, (queries[0], queries[1]), (None, None), values)
        for base in _bases(method, collection, own, shared):
            writes += _of_bodies(described, spy, (method, target, operation), base)
    yield from writes


def _bases(method: str, collection: str, own: Ids, shared: Ids) -> Iterator[Any]:
    """Bodies of b's that would do, to put another's values into."""
    if collection not in MAKE or method == "DELETE":
        yield {}
    elif method == "POST":
        for ids in (own, {**own, **{each: shared[each] for each in SHARED}}):
            yield {**MAKE[collection]({**ids, "cidr": "10.5.0.0/24", "prefix": "10.5.64.0/24"})}
    else:
        yield {}
        yield {"id": own[collection]}


def _of_bodies(
    described: Described, spy: Spy, where: tuple[str, str, Mapping[str, Any]], base: Any
) -> Iterator[Pair]:
    method, target, operation = where
    for body in described.bodies(operation, base):
        for path in leaves(body):
            pairs = spy.pairs_of_id() if at(body, path) == GHOST else spy.pairs_of_text()
            if path[-1] == "id" or str(path[-1]).endswith("_id"):
                pairs = spy.pairs_of_id() if path[-1] != "device_id" else spy.pairs_of_text()
                if path[-1] in {"project_id", "tenant_id"}:
                    pairs = spy.pairs_of_text()
            for values in pairs:
                bodies = (replaced(body, path, values[0]), replaced(body, path, values[1]))
                yield Pair(method, (target, target), bodies, values)
                if method != "DELETE" and values[1] in spy.ghosts:
                    yield Pair(method, (target, target), bodies, values, DEFERRED)
                if method != "POST" or next(iter(body)).endswith("s"):
                    lenient = {"prefer": "handling=lenient"}
                    yield Pair(method, (target, target), bodies, values, lenient)


def _targets(path: str, mine: Ids, name: str, values: tuple[str, str]) -> tuple[str, str]:
    first, second = (_target(path, {**mine, name: value}) for value in values)
    return first, second


def _target(path: str, values: Ids) -> str:
    return re.sub(r"{(\w+)}", lambda found: values[found[1]], path)


Cast = tuple[Core, Owned, Owned, Owned]


@asynccontextmanager
async def acting(database_url: str) -> AsyncIterator[Cast]:
    """Projects a, b and c with one of everything each; c shares its network."""
    core = await Core.open(database_url)
    await core.start()
    registration = HostRegistration(epoch="e", driver="ovs", physical_networks={PHYSNET: "br"})
    caller = Caller(project_id="", is_admin=True)
    await core.commit(RegisterHost(caller=caller, host=HOST, registration=registration))
    admin = client_of(core, "admin")
    a = await made(admin, "zqproj-a", 3701, "10.77")
    b = await made(admin, "b", 3702, "10.78")
    c = await made(admin, "zqproj-c", 3703, "10.79", shared=True)
    a, b, c = [
        await with_operation(core, project, owned)
        for project, owned in (("zqproj-a", a), ("b", b), ("zqproj-c", c))
    ]
    for project in ("zqproj-a", "zqproj-c"):
        assert (await admin.put(f"/v2.0/quotas/{project}", {"quota": {"port": 37}})).status == 200
    yield core, a, b, c
    await core.close()


@pytest.fixture
async def cast(database_url: str) -> AsyncIterator[Cast]:
    async with acting(database_url) as found:
        yield found


async def described(client: Client) -> Described:
    return Described((await client.get("/openapi.json")).json)


async def test_a_new_collection_is_made_too(cast: Cast) -> None:
    document = await described(client_of(cast[0], "b"))
    collections = {
        path.removeprefix("/v2.0/")
        for method, path, _ in document.operations()
        if method == "POST" and re.fullmatch(r"/v2.0/[\w-]+", path)
    }
    assert collections == set(MAKE), "say in MAKE how one is made"


async def test_nothing_of_anothers_is_told_or_told_apart(tmp_path: Path) -> None:
    """Some 20,000 requests, so on SQLite alone."""
    async with acting(f"sqlite:///{tmp_path}/netwright.db") as cast:
        await _spied(*cast)


async def _spied(core: Core, a: Owned, b: Owned, c: Owned) -> None:
    client = client_of(core, "b")
    document = await described(client)
    spy = Spy(client, [a, c])
    admin = client_of(core, "admin")
    before = await _everything(admin, a, c)
    for pair in requests(document, spy, b.ids, c.ids):
        if pair.bodies[0] is not None:  # it may be a text of b's from now on
            spy.sent |= {*pair.values} & {*THEIRS}
        await spy.tell_apart(pair)
    assert spy.asked > 5_000
    made = {collection for collection, status in spy.allowed if status == 201}
    expected = MAKE.keys() - {"networks"}  # only admins have a segment, without vlan_ranges
    assert made >= expected, "what b sends would do, but for what is another's in it"
    deferred = {collection for collection, status in spy.allowed if status == 202}
    assert {"subnets", "ports"} <= deferred, deferred
    assert await _everything(admin, a, c) == before, "and nothing of theirs was changed"


async def test_lists_and_public_pages_hold_nothing_of_anothers(cast: Cast) -> None:
    core, a, b, c = cast
    client = client_of(core, "b")
    document = await described(client)
    spy = Spy(client, [a, c])
    for method, path, operation in document.operations():
        if method != "GET" or "{" in path:
            continue
        await spy.ask(method, path)
        names = {each["name"] for each in operation.get("parameters", ())}
        if "sort_key" in names:
            listed = (await client.get(path)).json
            (field,) = (name for name in listed if not name.endswith("_links"))
            collection = path.removeprefix("/v2.0/")
            keys = {key for one in listed[field] for key in one}
            for key in sorted(keys):
                for query in (f"sort_key={key}&sort_dir=desc&limit=1", f"fields={key}"):
                    await spy.ask(method, f"{path}?{query}")
            assert b.ids[collection] in {one["id"] for one in listed[field]}, collection
            others = {one["id"] for one in listed[field] if one["project_id"] != "b"}
            assert others == ({c.ids[collection]} if collection in VISIBLE else set()), collection


async def test_who_is_in_a_shared_scope_is_not_told(cast: Cast) -> None:
    """That a prefix is another's has to be told, as one may not have it: not whose."""
    core, _, _, c = cast
    scope = {"address_scope_id": c.ids["address-scopes"]}
    theirs = {"name": "p", "prefixes": ["10.99.0.0/24"], "project_id": "zqproj-a", **scope}
    admin = client_of(core, "admin")
    pool = (await admin.post("/v2.0/subnetpools", {"subnetpool": theirs})).json["subnetpool"]
    ours = {"name": "p", "prefixes": ["10.99.0.0/16"], **scope}
    for project in ("b", "zqproj-c"):
        client = client_of(core, project)
        answer = await client.post("/v2.0/subnetpools", {"subnetpool": ours})
        assert answer.error["type"] == "AddressScopePrefixConflict"
        assert "another project" in answer.error["message"]
        assert pool["id"] not in answer.body.decode()
        assert "10.99.0.0/24" not in answer.body.decode()
    owner = client_of(core, "zqproj-c")
    assert (await owner.ask("DELETE", f"/v2.0/subnetpools/{c.ids['subnetpools']}")).status == 204
    answer = await owner.ask("DELETE", f"/v2.0/address-scopes/{c.ids['address-scopes']}")
    assert answer.error["type"] == "AddressScopeInUse"
    assert pool["id"] not in answer.body.decode()
    to_admin = await admin.post("/v2.0/subnetpools", {"subnetpool": ours})
    assert pool["id"] in to_admin.error["message"], "who may see it is told which"


async def _everything(admin: Client, *projects: Owned) -> list[Any]:
    return [
        (await admin.get(f"/v2.0/{collection}/{owned.ids[collection]}")).json
        for owned in projects
        for collection in MAKE
    ]
