"""What is known of a port beyond its resource: its history, and an explanation.

Admins are told all of it, projects what `ports.disclosure` lets them know.
"""

import time
from collections.abc import Sequence

from msgspec import Struct

from netwright.model.errors import PortNotFound
from netwright.model.resources import Network, Port, Transition
from netwright.model.routing import FloatingIp
from netwright.server.api.reply import Reply, json_reply
from netwright.server.api.route import Access, Call, Route
from netwright.server.ports.disclosure import explain_to_project, history_for_project
from netwright.server.ports.explain import explain
from netwright.server.ports.explanation import Explanation
from netwright.server.queries import Query


class History(Struct, frozen=True):
    """A port's transitions, oldest first; `dropped` counts those that are kept no more."""

    port_id: str
    history: Sequence[Transition]
    dropped: int


def routes() -> tuple[Route, ...]:
    one, access = "/v1/ports/{id}", Access.PROJECT
    return (
        Route("GET", f"{one}/history", _history, access, "A port's history", response=History),
        Route("GET", f"{one}/explain", _explain, access, "What a port waits for",
              response=Explanation),
    )  # fmt: skip


async def _history(call: Call) -> Reply:
    """A deleted port's history outlives it: admins may ask how it went."""
    id_, reader = call.path["id"], call.service.reader
    transitions = await reader.history(id_)
    if not (call.caller.is_admin and transitions):
        await _port(call)
    dropped = transitions[0].number - 1 if transitions else 0
    if not call.caller.is_admin:
        transitions = history_for_project(transitions)
    return json_reply(History(id_, transitions, dropped))


async def _explain(call: Call) -> Reply:
    port, reader = await _port(call), call.service.reader
    network = await reader.one(Network, port.network_id)
    if network is None:  # deleted between the two reads, and the port with it
        raise _missing(port.id)
    found = [await reader.host(name) for name in {binding.host for binding in port.bindings}]
    hosts = {host.name: host for host in found if host is not None}
    floating = await reader.many(FloatingIp, Query(filters=(("port_id", (port.id,)),)))
    if not call.caller.is_admin:
        return json_reply(explain_to_project(port, network, hosts, time.time(), floating=floating))
    attachments = {one.host: one for one in await reader.attachments(network.id)}
    tellings = await reader.notices(port.id)
    now = time.time()
    explained = explain(
        port, network, hosts, attachments, now, tellings=tellings, floating=floating
    )
    return json_reply(explained)


async def _port(call: Call) -> Port:
    """The port, also while it is deleted and withdraws; raises PortNotFound."""
    id_ = call.path["id"]
    port = await call.service.reader.port(id_, releasing=True)
    if port is None or not call.caller.may_touch(port.project_id):
        raise _missing(id_)
    return port


def _missing(id_: str) -> PortNotFound:
    return PortNotFound(
        f"Port {id_} could not be found.",
        next="netwright port list has those there are, netwright port history ID what happened to "
        "one that is gone.",
    )
