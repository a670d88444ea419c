"""Subnet pools and address scopes, edge and core together, on both databases."""

from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import pytest
from tests.doubles.http import Answer, Client
from tests.unit.server.projects import client_of

from netwright.ipam.addresses import AddressRange, cidr_range, from_key
from netwright.ipam.prefixes import largest, ranges_of, union
from netwright.server.api.ids import new_id
from netwright.server.core import Core
from netwright.server.store.checking import check

_vlans = iter(range(1, 4_000))


@pytest.fixture
def admin(core: Core) -> Client:
    return client_of(core, "admin")


@pytest.fixture(autouse=True)
async def whole(core: Core, database_url: str) -> AsyncIterator[None]:
    """After each test the pools' free parts and their subnets are the pools, and no more."""
    yield
    assert (await check(database_url)).wrong == []
    rows = await core._database.read(
        lambda tx: tx.rows("SELECT pool_id, first_address, last_address, host_bits FROM gap")
    )
    pools = (await client_of(core, "admin").get("/v2.0/subnetpools")).json["subnetpools"]
    subnets = (await client_of(core, "admin").get("/v2.0/subnets")).json["subnets"]
    assert_whole(rows, pools, subnets)
    uses = await core._database.read(lambda tx: tx.rows("SELECT * FROM pool_use"))
    expected: Counter[tuple[str, str]] = Counter()
    for one in subnets:
        if one["subnetpool_id"]:
            key = (one["subnetpool_id"], one["project_id"])
            expected[key] += cidr_range(one["cidr"]).size
    assert {(pool, project): int(n) for pool, project, n in uses if int(n)} == dict(expected)


def assert_whole(rows: Any, pools: Any, subnets: Any) -> None:
    for pool in pools:
        gaps = [
            AddressRange(from_key(f), from_key(to)) for id_, f, to, _ in rows if id_ == pool["id"]
        ]
        taken = [cidr_range(one["cidr"]) for one in subnets if one["subnetpool_id"] == pool["id"]]
        whole = ranges_of(pool["prefixes"])
        assert union([*gaps, *taken]) == union(whole)
        assert sum(one.size for one in (*gaps, *taken)) == sum(one.size for one in whole)
        assert len(union(gaps)) == len(gaps)
        assert {largest(one) for one in gaps} == {b for id_, _, _, b in rows if id_ == pool["id"]}
    assert {id_ for id_, *_ in rows} <= {pool["id"] for pool in pools}


async def made(client: Client, name: str, /, **attributes: Any) -> Any:
    answer = await client.post(path_of(name), {name: attributes})
    assert answer.status == 201, answer
    return answer.json[name]


def path_of(name: str) -> str:
    return f"/v2.0/{name.replace('_', '-')}s"


async def refused(client: Client, name: str, /, **attributes: Any) -> tuple[int, str]:
    answer = await client.post(path_of(name), {name: attributes})
    return answer.status, answer.error["type"]


async def a_pool(client: Client, *prefixes: str, **attributes: Any) -> str:
    given = {"name": "p", "prefixes": prefixes or ("10.0.0.0/16",), **attributes}
    id_: str = (await made(client, "subnetpool", **given))["id"]
    return id_


async def a_network(client: Client, **attributes: Any) -> str:
    segment = {
        "provider:network_type": "vlan",
        "provider:physical_network": "physnet1",
        "provider:segmentation_id": next(_vlans),
    }
    id_: str = (await made(client, "network", **segment, **attributes))["id"]
    return id_


async def a_subnet(client: Client, pool: str, **attributes: Any) -> Any:
    network = attributes.pop("network_id", None) or await a_network(client)
    version = attributes.pop("ip_version", 4)
    return await made(
        client, "subnet", network_id=network, ip_version=version, subnetpool_id=pool, **attributes
    )


async def no_subnet(client: Client, pool: str, **attributes: Any) -> tuple[int, str]:
    network = attributes.pop("network_id", None) or await a_network(client)
    given = {"ip_version": 4, "network_id": network, "subnetpool_id": pool, **attributes}
    return await refused(client, "subnet", **given)


async def changed(client: Client, name: str, id_: str, /, **attributes: Any) -> Answer:
    return await client.put(f"{path_of(name)}/{id_}", {name: attributes})


async def test_a_pool_and_its_defaults(admin: Client) -> None:
    pool = await made(admin, "subnetpool", name="p", prefixes=["10.0.1.0/24", "10.0.0.0/24"])
    assert pool == {
        **pool,
        "prefixes": ["10.0.0.0/23"],
        "ip_version": 4,
        "min_prefixlen": 8,
        "max_prefixlen": 32,
        "default_prefixlen": 8,
        "default_quota": None,
        "address_scope_id": None,
        "is_default": False,
        "shared": False,
        "description": "",
        "revision_number": 1,
    }
    six = await made(admin, "subnetpool", name="p", prefixes=["2001:db8::/32"])
    assert (six["ip_version"], six["min_prefixlen"], six["max_prefixlen"]) == (6, 64, 128)
    assert six["default_prefixlen"] == 64
    assert (await admin.get(f"/v2.0/subnetpools/{six['id']}")).json["subnetpool"] == six


@pytest.mark.parametrize(
    ("attributes", "error"),
    [
        ({"prefixes": []}, "EmptySubnetPoolPrefixList"),
        ({"prefixes": ["10.0.0.0/8", "2001:db8::/32"]}, "PrefixVersionMismatch"),
        ({"prefixes": ["10.0.0.1/8", "10.0.0.0/8"]}, "InvalidInput"),
        ({"prefixes": ["10.0.0.0/8", "10.0.0.0/8"]}, "InvalidInput"),
        ({"prefixes": ["224.0.0.0/24"]}, "InvalidInput"),
        ({"prefixes": ["::/8"]}, "InvalidInput"),
        ({"min_prefixlen": 25, "max_prefixlen": 24}, "IllegalSubnetPoolPrefixBounds"),
        ({"max_prefixlen": 33}, "IllegalSubnetPoolPrefixBounds"),
        ({"min_prefixlen": 20, "default_prefixlen": 19}, "IllegalSubnetPoolPrefixBounds"),
        ({"max_prefixlen": 24, "default_prefixlen": 25}, "IllegalSubnetPoolPrefixBounds"),
        ({"min_prefixlen": -1}, "InvalidInput"),
        ({"default_quota": -1}, "InvalidInput"),
        ({"name": ""}, "InvalidInput"),
        ({"ip_version": 4}, "HTTPBadRequest"),
    ],
)
async def test_a_pool_that_cannot_be(admin: Client, attributes: dict[str, Any], error: str) -> None:
    given = {"name": "p", "prefixes": ["10.0.0.0/8"], **attributes}
    assert await refused(admin, "subnetpool", **given) == (400, error)


async def test_subnets_get_the_first_prefix_that_is_free(admin: Client) -> None:
    pool = await a_pool(admin, "10.0.0.0/22", default_prefixlen=24)
    subnets = [await a_subnet(admin, pool) for _ in range(2)]
    assert [one["cidr"] for one in subnets] == ["10.0.0.0/24", "10.0.1.0/24"]
    assert (subnets[0]["gateway_ip"], subnets[0]["subnetpool_id"]) == ("10.0.0.1", pool)
    assert subnets[0]["allocation_pools"] == [{"start": "10.0.0.2", "end": "10.0.0.254"}]
    assert (await a_subnet(admin, pool, prefixlen=26))["cidr"] == "10.0.2.0/26"
    assert (await a_subnet(admin, pool, prefixlen=25))["cidr"] == "10.0.2.128/25"
    assert (await a_subnet(admin, pool, prefixlen=26))["cidr"] == "10.0.2.64/26"
    assert (await a_subnet(admin, pool, cidr="10.0.3.64/26"))["cidr"] == "10.0.3.64/26"
    assert await no_subnet(admin, pool) == (409, "SubnetAllocationError")
    assert await no_subnet(admin, pool, cidr="10.0.3.0/25") == (409, "SubnetAllocationError")
    assert await no_subnet(admin, pool, cidr="10.9.3.0/25") == (409, "SubnetAllocationError")
    gone = await admin.ask("DELETE", f"/v2.0/subnets/{subnets[0]['id']}")
    assert gone.status == 204
    assert (await a_subnet(admin, pool))["cidr"] == "10.0.0.0/24"


async def test_ipv6(admin: Client) -> None:
    pool = await a_pool(admin, "2001:db8::/62")
    six = {"ip_version": 6, "ipv6_address_mode": "slaac", "ipv6_ra_mode": "slaac"}
    cidrs = [(await a_subnet(admin, pool, **six))["cidr"] for _ in range(4)]
    assert cidrs == ["2001:db8::/64", "2001:db8:0:1::/64", "2001:db8:0:2::/64", "2001:db8:0:3::/64"]
    assert await no_subnet(admin, pool, ip_version=6) == (409, "SubnetAllocationError")
    wide = await a_pool(admin, "2001:db8:1::/48")
    assert await no_subnet(admin, wide, **six, prefixlen=80) == (400, "InvalidInput")
    assert await no_subnet(admin, wide, ip_version=4) == (400, "BadRequest")


@pytest.mark.parametrize(
    ("attributes", "error"),
    [
        ({"prefixlen": 19}, "MinPrefixSubnetAllocationError"),
        ({"prefixlen": 27}, "MaxPrefixSubnetAllocationError"),
        ({"cidr": "10.0.0.0/27"}, "MaxPrefixSubnetAllocationError"),
        ({"cidr": "10.0.0.0/24", "prefixlen": 24}, "BadRequest"),
        ({"use_default_subnetpool": True}, "BadRequest"),
        ({"allocation_pools": [{"start": "10.0.0.5", "end": "10.0.0.9"}]}, "BadRequest"),
        ({"gateway_ip": "10.9.0.1"}, "InvalidInput"),
        ({"ip_version": 6}, "BadRequest"),
        ({"subnetpool_id": None}, "InvalidInput"),
    ],
)
async def test_a_subnet_that_cannot_come_from_the_pool(
    admin: Client, attributes: dict[str, Any], error: str
) -> None:
    bounds = {"min_prefixlen": 20, "max_prefixlen": 26, "default_prefixlen": 24}
    pool = await a_pool(admin, **bounds)
    assert await no_subnet(admin, pool, **attributes) == (400, error)


async def test_a_gateway_and_pools_of_ones_own(admin: Client) -> None:
    pool = await a_pool(admin, default_prefixlen=24)
    subnet = await a_subnet(admin, pool, gateway_ip=None)
    assert (subnet["gateway_ip"], subnet["cidr"]) == (None, "10.0.0.0/24")
    own = [{"start": "10.0.7.5", "end": "10.0.7.9"}]
    subnet = await a_subnet(
        admin, pool, cidr="10.0.7.0/24", gateway_ip="10.0.7.254", allocation_pools=own
    )
    assert (subnet["gateway_ip"], subnet["allocation_pools"]) == ("10.0.7.254", own)


async def test_the_default_pool(admin: Client) -> None:
    network = await a_network(admin)
    default = {"network_id": network, "ip_version": 4, "use_default_subnetpool": True}
    assert await refused(admin, "subnet", **default) == (400, "BadRequest")
    pool = await a_pool(admin, is_default=True, default_prefixlen=24)
    await a_pool(admin, "2001:db8::/32", is_default=True)
    subnet = await made(admin, "subnet", **default)
    assert (subnet["subnetpool_id"], subnet["cidr"]) == (pool, "10.0.0.0/24")
    taken = {"name": "q", "prefixes": ["10.9.0.0/16"], "is_default": True}
    assert await refused(admin, "subnetpool", **taken) == (400, "InvalidInput")
    other = await a_pool(admin, "10.9.0.0/16", default_prefixlen=24)
    answer = await changed(admin, "subnetpool", other, is_default=True)
    assert (answer.status, answer.error["type"]) == (400, "InvalidInput")
    # one batch: the pool that is the default by then is the one that counts
    changes = [{"id": pool, "is_default": False}, {"id": other, "is_default": True}]
    assert (await admin.put("/v2.0/subnetpools", {"subnetpools": changes})).status == 200
    subnet = await made(admin, "subnet", **{**default, "network_id": await a_network(admin)})
    assert (subnet["subnetpool_id"], subnet["cidr"]) == (other, "10.9.0.0/24")


async def test_many_subnets_at_once_share_no_address(admin: Client) -> None:
    pool = await a_pool(admin, "10.0.0.0/24", "10.0.2.0/23", default_prefixlen=28)
    networks = [await a_network(admin) for _ in range(12)]
    lengths = (28, 26, 30, 27, 28, 26, 29, 30, 27, 25, 28, 26)
    items = [
        {"network_id": network, "ip_version": 4, "subnetpool_id": pool, "prefixlen": length}
        for network, length in zip(networks, lengths, strict=True)
    ]
    answer = await admin.post("/v2.0/subnets", {"subnets": items})
    assert answer.status == 201, answer
    subnets = answer.json["subnets"]
    gone = [{"id": one["id"]} for one in subnets[1::2]]
    assert (await admin.ask("DELETE", "/v2.0/subnets", {"subnets": gone})).status == 204
    for network in networks[1::2]:
        assert (await admin.ask("DELETE", f"/v2.0/networks/{network}")).status == 204
    gone = [{"id": network} for network in networks[::2]]
    assert (await admin.ask("DELETE", "/v2.0/networks", {"networks": gone})).status == 204
    assert (await a_subnet(admin, pool, prefixlen=23))["cidr"] == "10.0.2.0/23"
    assert (await admin.ask("DELETE", f"/v2.0/subnetpools/{pool}")).status == 400


async def test_what_fails_takes_nothing(admin: Client) -> None:
    pool = await a_pool(admin, "10.0.0.0/23", default_prefixlen=24)
    item = {"network_id": await a_network(admin), "ip_version": 4, "subnetpool_id": pool}
    items = [item, {**item, "network_id": new_id()}]
    assert (await admin.post("/v2.0/subnets", {"subnets": items})).status == 404
    assert (await a_subnet(admin, pool))["cidr"] == "10.0.0.0/24"


async def test_a_pool_in_use_stays(admin: Client) -> None:
    pool = await a_pool(admin, default_prefixlen=24)
    subnet = await a_subnet(admin, pool)
    answer = await admin.ask("DELETE", f"/v2.0/subnetpools/{pool}")
    assert (answer.status, answer.error["type"]) == (400, "SubnetPoolDeleteError")
    await admin.ask("DELETE", f"/v2.0/subnets/{subnet['id']}")
    assert (await admin.ask("DELETE", f"/v2.0/subnetpools/{pool}")).status == 204
    assert (await admin.get(f"/v2.0/subnetpools/{pool}")).error["type"] == "SubnetPoolNotFound"
    assert await no_subnet(admin, pool) == (404, "SubnetPoolNotFound")


async def test_prefixes_only_become_more(admin: Client) -> None:
    pool = await a_pool(admin, "10.0.0.0/24", "10.0.4.0/24", default_prefixlen=24)
    await a_subnet(admin, pool)
    less = await changed(admin, "subnetpool", pool, prefixes=["10.0.0.0/24"])
    assert (less.status, less.error["type"]) == (400, "IllegalSubnetPoolPrefixUpdate")
    assert "10.0.4.0-10.0.4.255" in less.error["message"]
    mixed = await changed(admin, "subnetpool", pool, prefixes=["2001:db8::/32"])
    assert mixed.error["type"] == "PrefixVersionMismatch"
    more = await changed(
        admin, "subnetpool", pool, prefixes=["10.0.0.0/23", "10.0.4.0/23"], name="larger"
    )
    assert more.json["subnetpool"]["prefixes"] == ["10.0.0.0/23", "10.0.4.0/23"]
    assert more.json["subnetpool"]["revision_number"] == 2
    assert (await a_subnet(admin, pool, prefixlen=23))["cidr"] == "10.0.4.0/23"
    assert (await a_subnet(admin, pool))["cidr"] == "10.0.1.0/24"


async def test_bounds_hold_for_what_is_changed(admin: Client) -> None:
    pool = await a_pool(admin, default_prefixlen=24)
    wrong = await changed(admin, "subnetpool", pool, min_prefixlen=25)
    assert (wrong.status, wrong.error["type"]) == (400, "IllegalSubnetPoolPrefixBounds")
    right = await changed(admin, "subnetpool", pool, min_prefixlen=25, default_prefixlen=26)
    assert right.status == 200
    assert (await a_subnet(admin, pool))["cidr"] == "10.0.0.0/26"


async def test_quotas_count_addresses_by_project(admin: Client, core: Core) -> None:
    pool = await a_pool(admin, default_prefixlen=26, default_quota=128, shared=True)
    owner = client_of(core, "owner")
    networks = [await a_network(admin, project_id="owner") for _ in range(3)]
    first = await a_subnet(owner, pool, network_id=networks[0])
    await a_subnet(owner, pool, network_id=networks[1])
    over = {"network_id": networks[2], "prefixlen": 30}
    assert await no_subnet(owner, pool, **over) == (409, "SubnetPoolQuotaExceeded")
    await a_subnet(admin, pool)  # another project's
    await owner.ask("DELETE", f"/v2.0/subnets/{first['id']}")
    await a_subnet(owner, pool, **over)
    six = await a_pool(admin, "2001:db8::/48", default_quota=1, shared=True)
    await a_subnet(owner, six, network_id=networks[0], ip_version=6)
    over = {"network_id": networks[1], "ip_version": 6}
    assert await no_subnet(owner, six, **over) == (409, "SubnetPoolQuotaExceeded")


async def test_a_networks_subnets_are_of_one_pool_or_of_none(admin: Client) -> None:
    pool, other = await a_pool(admin, default_prefixlen=24), await a_pool(admin, "10.9.0.0/16")
    network = await a_network(admin)
    await a_subnet(admin, pool, network_id=network)
    affinity = (400, "NetworkSubnetPoolAffinityError")
    assert await no_subnet(admin, other, network_id=network, prefixlen=24) == affinity
    none = {"network_id": network, "subnetpool_id": None, "cidr": "10.77.0.0/24"}
    assert await no_subnet(admin, pool, **none) == affinity
    await a_subnet(admin, pool, network_id=network)
    six = {"network_id": network, "ip_version": 6, "cidr": "2001:db8::/64"}
    await made(admin, "subnet", **six)  # the other version's are by themselves
    unpooled = await a_network(admin)
    await made(admin, "subnet", network_id=unpooled, ip_version=4, cidr="10.50.0.0/24")
    assert await no_subnet(admin, pool, network_id=unpooled) == affinity


async def scope_of(client: Client, network: str) -> tuple[str | None, str | None]:
    shown = (await client.get(f"/v2.0/networks/{network}")).json["network"]
    return shown["ipv4_address_scope"], shown["ipv6_address_scope"]


async def test_a_network_shows_the_scope_of_its_subnets_pools(admin: Client) -> None:
    scope = (await made(admin, "address_scope", name="s", ip_version=4))["id"]
    pool = await a_pool(admin, default_prefixlen=24, address_scope_id=scope)
    network = await a_network(admin)
    assert await scope_of(admin, network) == (None, None)
    first = await a_subnet(admin, pool, network_id=network)
    assert await scope_of(admin, network) == (scope, None)
    other = await a_pool(admin, "10.9.0.0/16", default_prefixlen=24, address_scope_id=scope)
    second = await a_subnet(admin, other, network_id=network)  # of the same scope
    outside = await a_pool(admin, "10.10.0.0/16", default_prefixlen=24)
    differs = (400, "NetworkAddressScopeAffinityError")
    assert await no_subnet(admin, outside, network_id=network) == differs
    for pool_id in (pool, other):
        for wanted in (None, (await made(admin, "address_scope", ip_version=4))["id"]):
            answer = await changed(admin, "subnetpool", pool_id, address_scope_id=wanted)
            assert (answer.status, answer.error["type"]) == differs
    await admin.ask("DELETE", f"/v2.0/subnets/{first['id']}")
    assert await scope_of(admin, network) == (scope, None)
    answer = await changed(admin, "subnetpool", other, address_scope_id=None)
    assert answer.json["subnetpool"]["address_scope_id"] is None
    assert await scope_of(admin, network) == (None, None)
    await changed(admin, "subnetpool", other, address_scope_id=scope)
    assert await scope_of(admin, network) == (scope, None)
    await admin.ask("DELETE", f"/v2.0/subnets/{second['id']}")
    assert await scope_of(admin, network) == (None, None)


async def test_a_large_pool_keeps_its_scope(admin: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    scope = (await made(admin, "address_scope", ip_version=4))["id"]
    pool = await a_pool(admin, default_prefixlen=24)
    network = (await a_subnet(admin, pool))["network_id"]
    await a_subnet(admin, pool)
    for module in ("netwright.server.subnet_pools", "netwright.server.store.prefixes"):
        monkeypatch.setattr(f"{module}.RESCOPED_SUBNETS_MAX", 1)
    answer = await changed(admin, "subnetpool", pool, address_scope_id=scope)
    assert (answer.status, answer.error["type"]) == (400, "IllegalSubnetPoolUpdate")
    assert await scope_of(admin, network) == (None, None)


async def test_pools_of_one_scope_share_no_address(admin: Client) -> None:
    scope = (await made(admin, "address_scope", ip_version=4))["id"]
    pool = await a_pool(admin, address_scope_id=scope)
    conflict = (409, "AddressScopePrefixConflict")
    same = {"name": "q", "prefixes": ["10.0.7.0/24"]}
    assert await refused(admin, "subnetpool", **same, address_scope_id=scope) == conflict
    outside = await a_pool(admin, "10.0.7.0/24")
    answer = await changed(admin, "subnetpool", outside, address_scope_id=scope)
    assert (answer.status, answer.error["type"]) == conflict
    beside = await a_pool(admin, "10.1.0.0/16", address_scope_id=scope)
    answer = await changed(admin, "subnetpool", beside, prefixes=["10.0.0.0/15"])
    assert (answer.status, answer.error["type"]) == conflict
    six = {"name": "q", "prefixes": ["2001:db8::/32"], "address_scope_id": scope}
    version = (400, "IllegalSubnetPoolIpVersionAssociationToAddressScope")
    assert await refused(admin, "subnetpool", **six) == version
    missing = {**same, "address_scope_id": new_id()}
    assert await refused(admin, "subnetpool", **missing) == (404, "AddressScopeNotFound")
    answer = await admin.ask("DELETE", f"/v2.0/address-scopes/{scope}")
    assert (answer.status, answer.error["type"]) == (409, "AddressScopeInUse")
    for pool_id in (pool, beside):
        await admin.ask("DELETE", f"/v2.0/subnetpools/{pool_id}")
    assert (await admin.ask("DELETE", f"/v2.0/address-scopes/{scope}")).status == 204


async def test_a_scope_is_changed_and_never_unshared(admin: Client) -> None:
    scope = await made(admin, "address_scope", name="s", ip_version=6)
    assert scope == {**scope, "name": "s", "ip_version": 6, "shared": False}
    answer = await changed(admin, "address_scope", scope["id"], name="t", shared=True)
    assert (answer.json["address_scope"]["name"], answer.json["address_scope"]["shared"]) == (
        "t",
        True,
    )
    answer = await changed(admin, "address_scope", scope["id"], shared=False)
    assert (answer.status, answer.error["type"]) == (400, "AddressScopeUpdateError")
    answer = await changed(admin, "address_scope", scope["id"], ip_version=4)
    assert (answer.status, answer.error["type"]) == (400, "HTTPBadRequest")
    found = (await admin.get("/v2.0/address-scopes?shared=true&ip_version=6&sort_key=name")).json
    assert [one["id"] for one in found["address_scopes"]] == [scope["id"]]


SHOWN: dict[str, dict[str, Any]] = {
    "address_scope": {"name": "s", "ip_version": 4},
    "subnetpool": {"name": "p", "prefixes": ["10.0.0.0/16"]},
}


@pytest.mark.parametrize("name", SHOWN)
async def test_projects_see_their_own_and_what_is_shared(core: Core, name: str) -> None:
    admin, owner, other = (client_of(core, each) for each in ("admin", "owner", "other"))
    path = path_of(name)
    own = await made(owner, name, **SHOWN[name])
    shared = await made(admin, name, **SHOWN[name], shared=True)
    lists = {
        client: {one["id"] for one in (await client.get(path)).json[f"{name}s"]}
        for client in (owner, other)
    }
    assert lists == {owner: {own["id"], shared["id"]}, other: {shared["id"]}}
    assert (await other.get(f"{path}/{own['id']}")).status == 404
    assert (await changed(other, name, own["id"], name="mine")).status == 404
    assert (await other.ask("DELETE", f"{path}/{own['id']}")).status == 404
    assert (await other.get(f"{path}/{shared['id']}")).status == 200
    assert (await changed(other, name, shared["id"], name="mine")).status == 403
    assert (await other.ask("DELETE", f"{path}/{shared['id']}")).status == 403
    assert await refused(owner, name, **SHOWN[name], shared=True) == (403, "PolicyNotAuthorized")
    assert (await changed(owner, name, own["id"], name="mine")).status == 200
    assert (await owner.ask("DELETE", f"{path}/{own['id']}")).status == 204


async def test_whose_pools_and_scopes_a_project_may_use(core: Core) -> None:
    admin, owner, other = (client_of(core, each) for each in ("admin", "owner", "other"))
    network = await a_network(admin, project_id="other")
    hidden = await a_pool(owner, default_prefixlen=24)
    taking = {"network_id": network}
    assert await no_subnet(other, hidden, **taking) == (404, "SubnetPoolNotFound")
    default = await a_pool(admin, "10.8.0.0/16", is_default=True)
    taken = {"network_id": network, "ip_version": 4, "use_default_subnetpool": True}
    assert await refused(other, "subnet", **taken) == (400, "BadRequest")
    assert (await admin.ask("DELETE", f"/v2.0/subnetpools/{default}")).status == 204
    await a_pool(admin, "10.8.0.0/16", is_default=True, shared=True, default_prefixlen=24)
    assert (await made(other, "subnet", **taken))["cidr"] == "10.8.0.0/24"
    scope = await made(owner, "address_scope", ip_version=4)
    given = {"name": "p", "prefixes": ["10.9.0.0/16"], "address_scope_id": scope["id"]}
    assert await refused(other, "subnetpool", **given) == (404, "AddressScopeNotFound")
    shared = await made(admin, "address_scope", ip_version=4, shared=True)
    pool = await a_pool(other, address_scope_id=shared["id"])
    answer = await changed(other, "subnetpool", pool, name="x")
    assert (answer.status, answer.error["type"]) == (400, "IllegalSubnetPoolUpdate")
    for attribute in ("shared", "is_default"):
        given = {"name": "p", "prefixes": ["10.9.0.0/16"], attribute: True}
        assert await refused(owner, "subnetpool", **given) == (403, "PolicyNotAuthorized")
    answer = await changed(owner, "subnetpool", hidden, is_default=True)
    assert (answer.status, answer.error["type"]) == (403, "PolicyNotAuthorized")


async def test_subnets_are_found_by_their_pool(admin: Client) -> None:
    pool = await a_pool(admin, default_prefixlen=24)
    pooled = [(await a_subnet(admin, pool))["id"] for _ in range(2)]
    alone = await made(
        admin, "subnet", network_id=await a_network(admin), ip_version=4, cidr="10.99.0.0/24"
    )
    found = (await admin.get(f"/v2.0/subnets?subnetpool_id={pool}")).json["subnets"]
    assert {one["id"] for one in found} == set(pooled)
    found = (await admin.get("/v2.0/subnets?subnetpool_id=")).json["subnets"]
    assert [one["id"] for one in found] == [alone["id"]]
    pages = []
    marker = ""
    while True:
        query = f"sort_key=subnetpool_id&limit=1&marker={marker}"
        page = (await admin.get(f"/v2.0/subnets?{query}")).json["subnets"]
        if not page:
            break
        pages.append(page[0]["id"])
        marker = page[0]["id"]
    assert pages == [alone["id"], *sorted(pooled)]
