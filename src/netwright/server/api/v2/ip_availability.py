"""How many addresses each network has, and how many are used (`network-ip-availability`).

Administrators are shown all networks, and others none, as in Neutron. `total_ips` are those of the
allocation pools, or all of the prefix where there are none; what ports hold outside of the pools is
used, too.
"""

from collections.abc import AsyncIterator, Sequence
from typing import Any

import msgspec
from msgspec.structs import replace

from netwright.ipam.addresses import cidr_range, from_text
from netwright.model.errors import NetworkNotFound
from netwright.model.resources import Network
from netwright.server.api.reply import Reply, json_reply
from netwright.server.api.route import Access, Call, Parameter, Route
from netwright.server.api.v2 import listing, values
from netwright.server.api.v2.pages import ListBody
from netwright.server.api.v2.resource import list_parameters
from netwright.server.api.v2.rows import Rows
from netwright.server.queries import Page, Query, Reader, SubnetUse

_ONE, _MANY = "network_ip_availability", "network_ip_availabilities"
_PATH = "/v2.0/network-ip-availabilities"
_IP_VERSION = "ip_version"
_OF_NETWORK = {"network_id": "id", "network_name": "name"}

_LISTABLE = listing.Listable(
    collection=_MANY,
    filters={
        "network_id": listing.text,
        "network_name": listing.text,
        "project_id": listing.text,
        "tenant_id": listing.text,
        _IP_VERSION: listing.integer,
    },
    sort_keys=frozenset({"network_id"}),
)


class SubnetAvailabilityView(msgspec.Struct, frozen=True, kw_only=True):
    subnet_id: str
    subnet_name: str
    cidr: str
    ip_version: int
    total_ips: int
    used_ips: int


class AvailabilityView(msgspec.Struct, frozen=True, kw_only=True):
    network_id: str
    network_name: str
    project_id: str
    tenant_id: str
    total_ips: int
    used_ips: int
    subnet_ip_availability: tuple[SubnetAvailabilityView, ...]


def routes() -> tuple[Route, ...]:
    fields = Parameter("fields", repeated=True)
    return (
        Route("GET", _PATH, _list, Access.PROJECT, "List how many addresses networks have",
              response={_MANY: list[AvailabilityView]}, parameters=list_parameters(_LISTABLE)),
        Route("GET", f"{_PATH}/{{id}}", _show, Access.PROJECT, "Show how many addresses one has",
              response={_ONE: AvailabilityView}, parameters=(fields,)),
    )  # fmt: skip


async def _list(call: Call) -> Reply:
    request = listing.parse(_LISTABLE, call.query, None)
    query, versions = _of_networks(request.query)
    pages = _pages(call.service.reader, query, versions) if call.caller.is_admin else _nothing()
    rows = Rows(
        AvailabilityView,
        lambda found: [listing.project(each, request.fields) for each in found],
    )
    body = ListBody(_MANY, request, rows, f"{call.base_url}{_PATH}", call.query)
    first = await anext(pages)
    if first.more:
        return Reply(200, parts=body.parts(first, pages))
    return Reply(200, body.part(first))


async def _show(call: Call) -> Reply:
    fields = listing.fields_of(call.query)
    id_, reader = call.path["id"], call.service.reader
    may_see = call.caller.is_admin and values.is_uuid(id_)
    network = await reader.one(Network, id_) if may_see else None
    if network is None:
        raise NetworkNotFound(f"Network {id_} could not be found.")
    use = (await reader.subnet_use((id_,))).get(id_, ())
    return json_reply({_ONE: listing.project(_view(network, use), fields)})


def _of_networks(query: Query) -> tuple[Query, frozenset[int] | None]:
    """The list of networks that this is; and which versions' subnets are counted, if not all."""
    filters = tuple((_OF_NETWORK.get(name, name), wanted) for name, wanted in query.filters)
    sort = tuple((_OF_NETWORK.get(name, name), ascending) for name, ascending in query.sort)
    versions = dict(filters).get(_IP_VERSION)
    wanted = None if versions is None else frozenset(map(int, versions))
    return replace(query, filters=filters, sort=sort), wanted


async def _nothing() -> AsyncIterator[Page[Any]]:
    yield Page((), (), more=False)


async def _pages(
    reader: Reader, query: Query, versions: frozenset[int] | None
) -> AsyncIterator[Page[Any]]:
    async for page in reader.pages(Network, query, Network):
        use = await reader.subnet_use(page.ids)
        views = []
        for network in page.rows:
            counted = [
                one
                for one in use.get(network.id, ())
                if versions is None or one.subnet.ip_version in versions
            ]
            views.append(_view(network, counted))
        yield Page(page.ids, views, more=page.more)


def _view(network: Network, use: Sequence[SubnetUse]) -> AvailabilityView:
    subnets = tuple(map(_subnet_view, use))
    return AvailabilityView(
        network_id=network.id,
        network_name=network.name,
        project_id=network.project_id,
        tenant_id=network.project_id,
        total_ips=sum(one.total_ips for one in subnets),
        used_ips=sum(one.used_ips for one in subnets),
        subnet_ip_availability=subnets,
    )


def _subnet_view(use: SubnetUse) -> SubnetAvailabilityView:
    subnet = use.subnet
    pools = subnet.allocation_pools
    return SubnetAvailabilityView(
        subnet_id=subnet.id,
        subnet_name=subnet.name,
        cidr=subnet.cidr,
        ip_version=subnet.ip_version,
        total_ips=sum(from_text(pool.end) - from_text(pool.start) + 1 for pool in pools)
        if pools
        else _size(subnet.cidr),
        used_ips=use.used,
    )


def _size(cidr: str) -> int:
    prefix = cidr_range(cidr)
    return prefix.last - prefix.first + 1
