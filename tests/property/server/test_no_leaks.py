"""Another project's data never leaks: every route of both APIs, as the server itself describes it.

Project `b` asks for everything by everything: each route with each id of project `a` in its path,
each filter, sort key, marker and attribute of a body with a value of `a`'s in it. Each request is
sent twice, with a value of `a`'s and with one alike that nobody has: the answers must not differ,
but for that value, and nothing of `a`'s may be in either. What a route takes comes from
/openapi.json, so that one added later is asked too; a new collection needs a line in `MAKE`.

What is shared is the exception, by design: project `c` shares a network, an address scope and a
subnet pool. They and the network's subnet may be seen; its ports, segment and hosts may not. An
external network may be seen, and nothing in it.
"""

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.doubles.http import Client
from tests.property.server.leaks.belongings import MAKE, VISIBLE, Cast, Owned, acting
from tests.property.server.leaks.described import Described
from tests.property.server.leaks.spying import THEIRS, Spy, requests
from tests.unit.server.projects import client_of

from netwright.server.core import Core

ADMINS_ALONE = frozenset({"agents", "network-ip-availabilities", "segments"})
"""Of these nothing is shown to others."""

NOBODYS = frozenset(
    {"default-security-group-rules", "qos/rule-types", "floatingip_pools", "floatingip-pools"}
)
"""These are no project's: all may see them."""


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
    assert collections - NOBODYS - ADMINS_ALONE == set(MAKE), "say in MAKE how one is made"


async def test_nothing_of_anothers_is_told_or_told_apart(tmp_path: Path) -> None:
    """Some 85,000 requests, so on SQLite alone."""
    async with acting(f"sqlite:///{tmp_path}/netwright.db") as cast:
        await _spied(*cast)


async def _spied(core: Core, a: Owned, b: Owned, c: Owned) -> None:
    client = client_of(core, "b")
    document = await described(client)
    spy = Spy(client, [a, c])
    admin = client_of(core, "admin")
    before = await _everything(admin, a, c)
    sent: set[str] = set()
    for pair in requests(document, spy, b.ids, c.ids):
        if (form := repr(pair)) in sent:
            continue  # bodies with one attribute more have much in common
        sent.add(form)
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
            if collection in ADMINS_ALONE:
                assert listed[field] == []
                continue
            keys = {key for one in listed[field] for key in one}
            for key in sorted(keys):
                for query in (f"sort_key={key}&sort_dir=desc&limit=1", f"fields={key}"):
                    await spy.ask(method, f"{path}?{query}")
            if collection in NOBODYS:
                continue
            assert b.ids[collection] in {one["id"] for one in listed[field]}, collection
            others = {one["id"] for one in listed[field] if one["project_id"] != "b"}
            outside = {c.ids["outside"]} if collection == "networks" else set()
            shared = {c.ids[collection]} if collection in VISIBLE else set()
            assert others == shared | outside, collection


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
