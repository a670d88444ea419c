"""GoBGP's JSON, as 3.10 writes it: recorded lines of `gobgp monitor global rib -a evpn -j`."""

import json
from typing import Any

import pytest

from netwright.fabric.eyes.routes import EvpnRoute, Rib, RouteKey

RD = {"type": 1, "admin": "10.0.0.1", "assigned": 100}


def multicast(target: str = "65000:5001", **more: Any) -> dict[str, Any]:
    return {
        "nlri": {"type": 3, "value": {"rd": RD, "etag": 0, "ip": "10.0.0.1"}},
        "age": 1795956812,
        "best": False,
        "attrs": [
            {"type": 1, "value": 2},
            {"type": 16, "value": [
                {"type": 0, "subtype": 2, "value": target},
                {"type": 3, "subtype": 12, "tunnel_type": 8},
            ]},
            {"type": 22, "is-leaf-info-required": False, "tunnel-type": 6, "label": 5001,
             "tunnel-id": "10.0.0.1"},
            {"type": 14, "nexthop": "10.0.0.1", "afi": 25, "safi": 70, "value": []},
        ],
        "stale": False,
        **more,
    }  # fmt: skip


PREFIX = {
    "nlri": {"type": 5, "value": {
        "rd": {"type": 1, "admin": "10.0.0.1", "assigned": 200}, "esi": "single-homed", "etag": 0,
        "prefix": "10.9.0.0/24", "gateway": "0.0.0.0", "label": 9000,
    }},
    "attrs": [
        {"type": 16, "value": [
            {"type": 0, "subtype": 2, "value": "65000:9000"},
            {"type": 6, "subtype": 3, "mac": "02:aa:00:00:00:01"},
        ]},
        {"type": 14, "nexthop": "10.0.0.1", "afi": 25, "safi": 70, "value": []},
    ],
}  # fmt: skip
HOST = {
    "nlri": {"type": 2, "value": {
        "rd": RD, "esi": "single-homed", "etag": 0, "mac": "02:00:00:00:00:01", "ip": "10.8.0.5",
        "labels": [5001],
    }},
    "attrs": [{"type": 14, "nexthop": "10.0.0.1", "afi": 25, "safi": 70, "value": []}],
}  # fmt: skip


def fed(rib: Rib, *paths: dict[str, Any]) -> Rib:
    rib.feed(json.dumps(paths).encode())
    return rib


def test_it_sees_which_vtep_has_which_vni_with_which_targets() -> None:
    rib = Rib()
    assert rib.observed() is None  # nothing was said yet
    fed(rib, multicast(), PREFIX, HOST)
    assert rib.observed() == {("10.0.0.1", 5001): frozenset({"65000:5001"})}
    assert rib.feed(json.dumps([HOST]).encode()) == frozenset()
    assert rib.feed(json.dumps([multicast("1:1")]).encode()) == {"10.0.0.1"}
    assert rib.observed() == {("10.0.0.1", 5001): frozenset({"1:1"})}
    fed(rib, multicast("1:1", withdrawal=True))
    assert rib.observed() == {}


def test_a_vni_that_two_routes_announce_is_there_until_both_are_gone() -> None:
    other = multicast("2:2")
    other["nlri"]["value"] |= {"rd": {"type": 1, "admin": "10.0.0.1", "assigned": 101}}
    rib = fed(Rib(), multicast(), other)
    assert rib.observed() == {("10.0.0.1", 5001): frozenset({"65000:5001", "2:2"})}
    fed(rib, multicast(withdrawal=True))
    assert rib.observed() == {("10.0.0.1", 5001): frozenset({"2:2"})}
    moved = multicast("2:2", nlri=other["nlri"])
    moved["attrs"][2] = {"type": 22, "label": 6002}  # the same route, of another VNI now
    fed(rib, moved)
    assert rib.observed() == {("10.0.0.1", 6002): frozenset({"2:2"})}


def test_prefixes_and_hosts_have_their_vni_and_router_mac() -> None:
    rib = fed(Rib(), PREFIX, HOST)
    assert rib.routes[RouteKey(5, "10.0.0.1:200", "0/10.9.0.0/24")] == EvpnRoute(
        vtep="10.0.0.1",
        vni=9000,
        targets=frozenset({"65000:9000"}),
        router_mac="02:aa:00:00:00:01",
    )
    assert rib.routes[RouteKey(2, "10.0.0.1:100", "0/02:00:00:00:00:01/10.8.0.5")].vni == 5001


def test_too_many_routes_are_no_observation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("netwright.fabric.eyes.routes.ROUTES_MAX", 1)
    rib = fed(Rib(), HOST, multicast())
    assert len(rib.routes) == 1
    assert rib.observed() is None


def test_what_is_no_route_is_refused() -> None:
    for line in (b"rubbish", b"{}", b'["x"]'):
        with pytest.raises(ValueError, match=r"."):
            Rib().feed(line)
    with pytest.raises(KeyError):
        Rib().feed(b'[{"nlri": {"type": 3, "value": {}}}]')
