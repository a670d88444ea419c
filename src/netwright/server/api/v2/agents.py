"""Hosts as Neutron's agents, and the inventory's zones as its availability zones: to be read.

An agent's id is its host's name in the form of a UUID (RFC 9562, 5.5). It is `alive` while it is
heard; `admin_state_up` is false while its host is fenced. Hosts are fenced, drained and deleted by
the native API, never by these agents.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any
from uuid import UUID, uuid5

import msgspec

from netwright.model.errors import NotFound
from netwright.model.resources import Host, HostState
from netwright.server.api import times
from netwright.server.api.reply import Reply, json_reply
from netwright.server.api.route import Access, Call, Parameter, Route
from netwright.server.api.v2 import few, listing
from netwright.server.api.v2.resource import list_parameters
from netwright.server.containers.places import zones
from netwright.server.overlay.inventory import Inventory
from netwright.server.queries import FabricLinks

_NAMES = UUID("5a8dbd1f-4b4e-5a53-9a0e-9a7c5f0d2c1e")  # of hosts' names, made once
_PATH, _ZONES_PATH = "/v2.0/agents", "/v2.0/availability_zones"
_ZONED = ("network", "router")
"""What Neutron has zones of: here both are wherever a host is."""

_AGENTS = listing.Listable(
    collection="agents",
    filters={
        **dict.fromkeys(("id", "agent_type", "binary", "topic", "host"), listing.text),
        **dict.fromkeys(("admin_state_up", "alive"), listing.boolean),
        **dict.fromkeys(("description", "availability_zone"), listing.text),
    },
    sort_keys=frozenset(
        {
            *("id", "agent_type", "binary", "topic", "host", "admin_state_up", "created_at"),
            *("started_at", "heartbeat_timestamp", "alive", "description"),
        }
    ),
)
_ZONES = listing.Listable(
    collection="availability_zones",
    filters=dict.fromkeys(("name", "resource", "state"), listing.text),
    sort_keys=frozenset(),
)


class AgentNotFound(NotFound):
    pass


class AgentView(msgspec.Struct, frozen=True, kw_only=True):
    """`created_at`: since when its host is known, `started_at`: since when its agent runs.

    Both are null of a host that has not registered since servers keep them.
    """

    id: str
    host: str
    availability_zone: str
    alive: bool
    admin_state_up: bool
    created_at: datetime | None
    started_at: datetime | None
    heartbeat_timestamp: datetime
    configurations: dict[str, Any]
    agent_type: str = "Open vSwitch agent"
    binary: str = "netwright-agent"
    topic: str = "N/A"
    description: None = None


class ZoneView(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    resource: str
    state: str


def routes() -> tuple[Route, ...]:
    fields = Parameter("fields", repeated=True)
    named = tuple(Parameter(name, repeated=True) for name in sorted(_ZONES.filters))
    return (
        Route("GET", _PATH, _list, Access.PROJECT, "List agents",
              response={"agents": list[AgentView]}, parameters=list_parameters(_AGENTS)),
        Route("GET", f"{_PATH}/{{id}}", _show, Access.PROJECT, "Show an agent",
              response={"agent": AgentView}, parameters=(fields,)),
        Route("GET", _ZONES_PATH, _list_zones, Access.PROJECT, "List availability zones",
              response={"availability_zones": list[ZoneView]}, parameters=(*named, fields)),
    )  # fmt: skip


async def _list(call: Call) -> Reply:
    return few.listed(call, _AGENTS, await _agents_shown(call), "id", _PATH)


async def _show(call: Call) -> Reply:
    fields, id_ = listing.fields_of(call.query), call.path["id"]
    for agent in await _agents_shown(call):
        if agent.id == id_:
            return json_reply({"agent": listing.project(agent, fields)})
    raise AgentNotFound(f"Agent {id_} could not be found.")


async def _list_zones(call: Call) -> Reply:
    views = _zones(await call.service.reader.links())
    return few.listed(call, _ZONES, views, "name", _ZONES_PATH)


async def _agents_shown(call: Call) -> Iterable[AgentView]:
    """Administrators are shown all, and others none, as in Neutron."""
    return _agents(await call.service.reader.links()) if call.caller.is_admin else ()


def _agents(found: FabricLinks) -> Iterator[AgentView]:
    inventory = Inventory(found.topology)
    for host in found.hosts:
        yield AgentView(
            id=str(uuid5(_NAMES, host.name)),
            host=host.name,
            availability_zone=", ".join(sorted(zones(inventory, host.name))),
            alive=_is_alive(host),
            admin_state_up=host.state is not HostState.FENCED,
            created_at=times.moment(host.created_at) if host.created_at else None,
            started_at=times.moment(host.started_at) if host.started_at else None,
            heartbeat_timestamp=times.moment(host.heard_at),
            configurations={"bridge_mappings": dict(host.physical_networks)},
        )


def _zones(found: FabricLinks) -> Iterator[ZoneView]:
    """A zone is available while a host in it is."""
    inventory = Inventory(found.topology)
    known = {switch.zone for switch in found.topology.switches} - {""}
    alive = {
        zone for host in found.hosts if _is_alive(host) for zone in zones(inventory, host.name)
    }
    for zone in sorted(known):
        state = "available" if zone in alive else "unavailable"
        for resource in _ZONED:
            yield ZoneView(name=zone, resource=resource, state=state)


def _is_alive(host: Host) -> bool:
    return host.state is HostState.UP
