"""Switches, links and capacities: the inventory beside what is reported, heard and bound."""

from collections.abc import Mapping, Sequence

from msgspec import Struct

from netwright.model.errors import NotFound
from netwright.model.fabric import LinkState, SwitchState, SwitchStatus
from netwright.model.topology import Switch, SwitchKind
from netwright.server.api.query import each_once
from netwright.server.api.reply import Reply, json_reply
from netwright.server.api.route import Access, Call, Parameter, Route
from netwright.server.overlay.capacity import SwitchCapacity, capacities
from netwright.server.overlay.inventory import Inventory
from netwright.server.overlay.leaf_links import link_states


class SwitchNotFound(NotFound):
    """The inventory has no such switch."""


class SwitchView(Struct, frozen=True, kw_only=True):
    """A switch of the inventory; `status` None: no controller has said how it stands.

    `conditions` are what it has too much of, as far as that is known.
    """

    name: str
    kind: SwitchKind
    driver: str
    address: str
    asn: int | None
    loopback: str
    status: SwitchStatus | None
    cause: str
    drift: Sequence[str]
    since: float | None
    conditions: Mapping[str, str]
    capacity: SwitchCapacity | None
    """None: it is no leaf."""


class SwitchList(Struct, frozen=True):
    switches: Sequence[SwitchView]


class LinkList(Struct, frozen=True):
    links: Sequence[LinkState]


class CapacityList(Struct, frozen=True):
    switches: Sequence[SwitchCapacity]


def routes() -> tuple[Route, ...]:
    admin = Access.ADMIN
    return (
        Route("GET", "/v1/switches", _list, admin, "List switches", response=SwitchList),
        Route("GET", "/v1/switches/{name}", _show, admin, "Show a switch", response=SwitchView),
        Route("GET", "/v1/links", _links, admin, "List the links of hosts", response=LinkList,
              parameters=(Parameter("host"),)),
        Route("GET", "/v1/fabric/capacity", _capacity, admin, "What leaves hold",
              response=CapacityList),
    )  # fmt: skip


async def _list(call: Call) -> Reply:
    return json_reply(SwitchList(await _views(call)))


async def _show(call: Call) -> Reply:
    name = call.path["name"]
    for view in await _views(call):
        if view.name == name:
            return json_reply(view)
    raise SwitchNotFound(
        f"Switch {name} could not be found.",
        next="netwright switch list has those of the inventory",
    )


async def _links(call: Call) -> Reply:
    """All, or a host's."""
    host = each_once(call.query, ("host",)).get("host")
    found = await call.service.reader.links()
    states = link_states(found.topology, found.hosts, found.leaf_links)
    return json_reply(LinkList([each for each in states if host in {None, each.host}]))


async def _capacity(call: Call) -> Reply:
    found = await call.service.reader.switches()
    return json_reply(CapacityList([*capacities(Inventory(found.topology), found.usage)]))


async def _views(call: Call) -> list[SwitchView]:
    found = await call.service.reader.switches()
    held = {each.switch: each for each in capacities(Inventory(found.topology), found.usage)}
    return [
        _view(switch, found.states.get(switch.name), held.get(switch.name))
        for switch in found.topology.switches
    ]


def _view(switch: Switch, state: SwitchState | None, held: SwitchCapacity | None) -> SwitchView:
    return SwitchView(
        name=switch.name,
        kind=switch.kind,
        driver=switch.driver,
        address=switch.address,
        asn=switch.asn,
        loopback=switch.loopback,
        status=state.status if state else None,
        cause=state.cause if state else "",
        drift=state.drift if state else (),
        since=state.since if state else None,
        conditions=held.exceeded() if held else {},
        capacity=held,
    )
