"""`GET /v1/trace`: the devices between two ports, each named by its id, name or address."""

import ipaddress

from netwright.model.errors import Conflict, InvalidInput, PortNotFound
from netwright.model.resources import Network, Port, Subnet
from netwright.model.routing import FLOATING_IP, FloatingIp
from netwright.model.trace import Trace
from netwright.server.api.errors import invalid
from netwright.server.api.query import each_once
from netwright.server.api.reply import Reply, json_reply
from netwright.server.api.route import Access, Call, Parameter, Route
from netwright.server.queries import Query, Reader
from netwright.server.trace.path import trace
from netwright.server.trace.station import Station

_PARAMETERS = ("src", "dst")
_NAMED_MAX = 5


class AmbiguousPort(Conflict):
    """Several ports have the name or address; the message names them."""


def routes() -> tuple[Route, ...]:
    return (
        # The way tells hosts, switches and cores: what they are is the operators' to know.
        Route("GET", "/v1/trace", _trace, Access.ADMIN, "The devices between two ports",
              response=Trace, parameters=tuple(Parameter(name) for name in _PARAMETERS)),
    )  # fmt: skip


async def _trace(call: Call) -> Reply:
    given = each_once(call.query, _PARAMETERS)
    for name in _PARAMETERS:
        if not given.get(name):
            raise invalid(name, "it is missing; give a port's id, name or address")
    reader = call.service.reader
    source, target = [await _station(reader, given[name]) for name in _PARAMETERS]
    if source.port.id == target.port.id:
        raise InvalidInput(
            f"Port {source.label} is both src and dst.", next="Name two ports; a packet leaves one."
        )
    return json_reply(trace(source, target, await reader.topology()))


async def _station(reader: Reader, wanted: str) -> Station:
    """Raises PortNotFound, and AmbiguousPort naming the choice."""
    address = _address(wanted)
    port = await _port(reader, wanted, address)
    network = await reader.one(Network, port.network_id)
    if network is None:  # deleted between the two reads, and the port with it
        raise _missing(wanted)
    found = [await reader.one(Subnet, fixed.subnet_id) for fixed in port.fixed_ips]
    binding, is_floating = port.active_binding, port.device_owner == FLOATING_IP
    return Station(
        port=port,
        network=network,
        subnets={subnet.id: subnet for subnet in found if subnet is not None},
        host=await reader.host(binding.host) if binding else None,
        address=address,
        floating=await reader.one(FloatingIp, port.device_id) if is_floating else None,
    )


async def _port(reader: Reader, wanted: str, address: str | None) -> Port:
    if address is not None:
        filters = (("fixed_ips", (f"ip_address={address}",)),)
    else:
        port = await reader.port(wanted)
        if port is not None:
            return port
        filters = (("name", (wanted,)),)
    ports = await reader.many(Port, Query(filters=filters, limit=_NAMED_MAX))
    if not ports:
        raise _missing(wanted)
    if len(ports) > 1:
        choice = ", ".join(port.id for port in ports)
        raise AmbiguousPort(f"More than one port is meant by {wanted}.", next=f"Give one: {choice}")
    return ports[0]


def _address(text: str) -> str | None:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return None


def _missing(wanted: str) -> PortNotFound:
    return PortNotFound(
        f"No port has the id, name or address {wanted}.",
        next="netwright port list shows what there is; a gateway is no port.",
    )
