"""Where floating IPs can come from (`floatingip-pools`): external networks' subnets of IPv4."""

from collections.abc import Sequence
from functools import partial

import msgspec

from netwright.model.resources import Network, Subnet
from netwright.server.api.reply import Reply
from netwright.server.api.route import Access, Call, Route
from netwright.server.api.v2 import few, listing
from netwright.server.api.v2.resource import list_parameters
from netwright.server.queries import Query, Reader

_MANY = "floatingip_pools"
_PATHS = ("/v2.0/floatingip_pools", "/v2.0/floatingip-pools")
"""As the API's reference has it, and as Neutron does."""

_LISTABLE = listing.Listable(collection=_MANY, filters={}, sort_keys=frozenset())
"""Neutron neither filters nor sorts them."""


class PoolView(msgspec.Struct, frozen=True, kw_only=True):
    subnet_id: str
    subnet_name: str
    cidr: str
    network_id: str
    project_id: str


def routes() -> tuple[Route, ...]:
    return tuple(
        Route(
            "GET",
            path,
            partial(_list, path),
            Access.PROJECT,
            "List where floating IPs can come from",
            response={_MANY: list[PoolView]},
            parameters=list_parameters(_LISTABLE),
        )
        for path in _PATHS
    )


async def _list(path: str, call: Call) -> Reply:
    """External networks are everybody's to see, and so is where their floating IPs come from."""
    views = [_view(each) for each in await _pools(call.service.reader)]
    return few.listed(call, _LISTABLE, views, "subnet_id", path)


async def _pools(reader: Reader) -> Sequence[Subnet]:
    external = Query(filters=(("router:external", ("true",)),))
    ids = tuple(network.id for network in await reader.many(Network, external))
    within = Query(filters=(("network_id", ids), ("ip_version", ("4",))))
    return await reader.many(Subnet, within) if ids else ()


def _view(subnet: Subnet) -> PoolView:
    return PoolView(
        subnet_id=subnet.id,
        subnet_name=subnet.name,
        cidr=subnet.cidr,
        network_id=subnet.network_id,
        project_id=subnet.project_id,
    )
