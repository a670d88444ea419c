"""What Neutron has, asked of its own plugins as an administrator, in batches."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from neutron_lib import context as neutron_context
from neutron_lib.plugins import constants as plugin_constants
from neutron_lib.plugins import directory

from netwright_neutron.kinds import ROUTER_INTERFACE, Key, Kind
from netwright_neutron.mapping import Row, Wanted, wanted

_PAGE = 500


def some(keys: Iterable[Key]) -> dict[Key, Wanted | None]:
    """What Netwright is to have of these."""
    found: dict[Key, Wanted | None] = dict.fromkeys(keys)
    for kind in Kind:
        ids = [key.id for key in found if key.kind is kind]
        if ids:
            for made in _wanted(kind, _rows(kind, {"id": ids})):
                found[made.key] = made
    return found


def all_of(kind: Kind) -> Iterator[Wanted]:
    """What Netwright is to have of this kind, page by page."""
    marker: str | None = None
    while True:
        rows = _rows(kind, {}, limit=_PAGE, marker=marker, sorts=[("id", True)])
        yield from _wanted(kind, rows)
        if len(rows) < _PAGE:
            return
        marker = str(rows[-1]["id"])


def _wanted(kind: Kind, rows: Sequence[Row]) -> Iterator[Wanted]:
    interfaces = _interfaces([row["id"] for row in rows]) if kind is Kind.ROUTER and rows else {}
    for row in rows:
        made = wanted(kind, row, interfaces.get(row["id"], ()))
        if made is not None:
            yield made


def _interfaces(router_ids: Sequence[str]) -> Mapping[str, Sequence[str]]:
    filters = {"device_id": list(router_ids), "device_owner": [ROUTER_INTERFACE]}
    found: dict[str, list[str]] = {}
    for port in _rows(Kind.PORT, filters):
        found.setdefault(port["device_id"], []).append(port["id"])
    return found


def _rows(kind: Kind, filters: Mapping[str, Any], **paging: Any) -> list[Row]:
    plugin: Any = directory.get_plugin()
    if kind in {Kind.ROUTER, Kind.FLOATING_IP}:
        plugin = directory.get_plugin(plugin_constants.L3)
        if plugin is None:
            return []
    ask = {
        Kind.NETWORK: "get_networks",
        Kind.SUBNET: "get_subnets",
        Kind.PORT: "get_ports",
        Kind.ROUTER: "get_routers",
        Kind.FLOATING_IP: "get_floatingips",
        Kind.SECURITY_GROUP: "get_security_groups",
    }[kind]
    context = neutron_context.get_admin_context()
    return list(getattr(plugin, ask)(context, filters=dict(filters) or None, **paging))
