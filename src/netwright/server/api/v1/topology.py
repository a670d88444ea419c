"""The inventory of the fabric: shown, and replaced as a whole."""

from netwright.model.topology import Topology
from netwright.server.api.body import Shape
from netwright.server.api.reply import Reply, json_reply
from netwright.server.api.route import Access, Call, Route
from netwright.server.commands import ReplaceTopology

_topology = Shape(Topology)


def routes() -> tuple[Route, ...]:
    path, access = "/v1/topology", Access.ADMIN
    return (
        Route("GET", path, _show, Access.FABRIC, "Show the fabric's inventory", response=Topology),
        Route("PUT", path, _replace, access, "Replace the fabric's inventory", Topology, Topology),
    )


async def _show(call: Call) -> Reply:
    return json_reply(await call.service.reader.topology())


async def _replace(call: Call) -> Reply:
    topology = _topology.decode(await call.body())
    command = ReplaceTopology(caller=call.caller, topology=topology)
    return json_reply(await call.service.commit(command))
