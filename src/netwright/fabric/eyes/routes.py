"""EVPN routes as GoBGP tells of them in JSON, and what they say together. Pure.

`gobgp monitor global rib --address-family evpn --json --current` writes one array a line: first all
routes that there are, then each that changes; `withdrawal` marks those that go (GoBGP 3.10).
"""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import msgspec

from netwright.fabric.verify import Observed
from netwright.model.resources import Value

MULTICAST = 3
"""RFC 7432, 7.3: Inclusive Multicast Ethernet Tag; it says that a VTEP has a VNI."""

_TYPES = frozenset({2, MULTICAST, 5})
_ROUTE_TARGET = 2  # sub-type of extended communities (RFC 4360)
_ROUTER_MAC = 6  # type of those of EVPN, sub-type 3 (RFC 9135)

ROUTES_MAX = 300_000
"""Routes kept; 0.1 GB. What comes beyond them is not, and no observation stands on it."""


class RouteKey(NamedTuple):
    """What distinguishes routes: type, RD, and what the type's NLRI names (RFC 7432, 7)."""

    type: int
    rd: str
    name: str


class EvpnRoute(Value, frozen=True, kw_only=True):
    """`vtep` is where it leads; `vni` None: none was told."""

    vtep: str
    vni: int | None
    targets: frozenset[str]
    router_mac: str | None = None


class Rib:
    """The routes of types 2, 3 and 5, by key."""

    def __init__(self) -> None:
        self.routes: dict[RouteKey, EvpnRoute] = {}
        self.is_synced = False
        self.is_full = False
        self._observed: dict[tuple[str, int], frozenset[str]] = {}
        self._announced: dict[tuple[str, int], set[RouteKey]] = {}

    def feed(self, line: bytes) -> frozenset[str]:
        """Take in one line; the VTEPs whose routes of type 3 have changed.

        Raises ValueError, LookupError or TypeError for what is no array of paths.
        """
        moved = {self._take(path) for path in msgspec.json.decode(line, type=list[dict[str, Any]])}
        self.is_synced = True
        return frozenset(vtep for place in moved if place for vtep in [place[0]])

    def observed(self) -> Observed | None:
        """Which VTEP announces which VNI with which targets; None while that is not known whole."""
        return self._observed if self.is_synced and not self.is_full else None

    def _take(self, path: Mapping[str, Any]) -> tuple[str, int] | None:
        """What (VTEP, VNI) it is about, for a route of type 3."""
        nlri = path["nlri"]
        if nlri.get("type") not in _TYPES:
            return None
        key, before = _key(nlri), None
        if path.get("withdrawal"):
            before = self.routes.pop(key, None)
        elif key in self.routes or len(self.routes) < ROUTES_MAX:
            before = self.routes.get(key)
            self.routes[key] = _route(nlri, path.get("attrs", ()))
        else:
            self.is_full = True
        if key.type != MULTICAST:
            return None
        was, is_ = self._observe(key, before), self._observe(key, self.routes.get(key))
        return is_ or was

    def _observe(self, key: RouteKey, route: EvpnRoute | None) -> tuple[str, int] | None:
        """Bring what a route is, or was, about up to date."""
        if route is None or route.vni is None:
            return None
        place = (route.vtep, route.vni)
        keys = self._announced.setdefault(place, set())
        if self.routes.get(key) == route:
            keys.add(key)
        else:
            keys.discard(key)
        if keys:
            self._observed[place] = frozenset().union(*(self.routes[one].targets for one in keys))
        else:
            self._observed.pop(place, None)
            del self._announced[place]
        return place


def _key(nlri: Mapping[str, Any]) -> RouteKey:
    value = nlri["value"]
    rd = value["rd"]
    names = ("etag", "mac", "ip", "prefix")
    name = "/".join(str(value[name]) for name in names if name in value)
    return RouteKey(nlri["type"], f"{rd['admin']}:{rd['assigned']}", name)


def _route(nlri: Mapping[str, Any], attributes: Iterable[Mapping[str, Any]]) -> EvpnRoute:
    value = nlri["value"]
    labels = [*value.get("labels", ()), *([value["label"]] if "label" in value else [])]
    vtep, targets, router_mac = str(value.get("ip", "")), set(), None
    for attribute in attributes:
        match attribute.get("type"):
            case 22:  # PMSI tunnel (RFC 6514), whose label is the VNI (RFC 8365, 5.1.3)
                labels = [attribute["label"]]
            case 14:  # MP_REACH_NLRI
                if nlri["type"] != MULTICAST:
                    vtep = str(attribute.get("nexthop", ""))
            case 16:  # extended communities
                for community in attribute["value"]:
                    if community.get("subtype") == _ROUTE_TARGET and "value" in community:
                        targets.add(str(community["value"]))
                    elif community.get("type") == _ROUTER_MAC and "mac" in community:
                        router_mac = str(community["mac"])
    return EvpnRoute(
        vtep=vtep,
        vni=labels[0] if labels else None,
        targets=frozenset(targets),
        router_mac=router_mac,
    )
