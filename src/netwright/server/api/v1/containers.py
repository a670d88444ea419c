"""Ports that a host's agent asks for and deletes, for containers on its own host.

    POST    made and bound to the host at once; the same again under a unique name that is there
    DELETE  those of the unique names that are containers' and bound to the host

Each port by itself: what one cannot have costs the others nothing. An agent does so in the projects
that the server's settings name, with what networks those may use, and in no other way.
"""

import asyncio
from collections.abc import Awaitable, Collection, Iterable, Mapping
from functools import partial

from netwright.model.errors import (
    HTTP_STATUS,
    Denied,
    HostNotFound,
    NetwrightError,
    PortNotFound,
    StaleEpoch,
    UniqueNameConflict,
)
from netwright.model.resources import Port
from netwright.model.wire import (
    CONTAINER_OWNER,
    ContainerPort,
    ContainerPortOutcome,
    ContainerPortOutcomes,
    ContainerPorts,
    EndedContainerPorts,
    ItemError,
)
from netwright.server.api.body import Shape
from netwright.server.api.ids import new_id
from netwright.server.api.reply import Reply, json_reply
from netwright.server.api.route import Access, Call, Route
from netwright.server.api.v1.hosts import host_of
from netwright.server.api.v2 import values
from netwright.server.commands import Caller, CreatePorts, DeletePorts, PortDraft
from netwright.server.queries import Query

_wanted = Shape(ContainerPorts)
_ended = Shape(EndedContainerPorts)


def routes(projects: Collection[str]) -> tuple[Route, ...]:
    path = "/v1/hosts/{name}/container-ports"
    return (
        Route("POST", path, partial(_make, projects), Access.AGENT,
              "Make ports for a host's containers", ContainerPorts, ContainerPortOutcomes),
        Route("DELETE", path, partial(_end, projects), Access.AGENT,
              "Delete ports of a host's containers", EndedContainerPorts, ContainerPortOutcomes),
    )  # fmt: skip


async def _make(projects: Collection[str], call: Call) -> Reply:
    host, body = host_of(call), _wanted.decode(await call.body())
    caller = await _agent(call, projects, host, body)
    return await _each(_make_one(call, caller, host, wanted) for wanted in body.ports)


async def _end(projects: Collection[str], call: Call) -> Reply:
    host, body = host_of(call), _ended.decode(await call.body())
    caller = await _agent(call, projects, host, body)
    names = tuple(dict.fromkeys(body.unique_names))
    query = Query(filters=(("unique_name", names), ("project_id", (body.project_id,))))
    found = {str(port.unique_name): port for port in await call.service.reader.many(Port, query)}
    return await _each(_end_one(call, caller, host, name, found) for name in body.unique_names)


async def _agent(
    call: Call, projects: Collection[str], host: str, body: ContainerPorts | EndedContainerPorts
) -> Caller:
    """On whose behalf the ports are made: the project's, by this host's agent and no older one."""
    if body.project_id not in projects and not call.caller.is_admin:
        raise Denied(
            f"Agents may not make ports for containers in project {body.project_id}.",
            next="Name that project in the server's container_projects, or another in the agent's"
            " cni_project.",
        )
    known = await call.service.reader.host(host)
    if known is None:
        raise HostNotFound(f"Host {host} has never registered.", next="Register it first.")
    if known.epoch != body.epoch:
        raise StaleEpoch(
            f"A newer agent of host {host} has registered than the one that asks.",
            next="End this agent; two of them must not serve one host.",
        )
    return Caller(project_id=body.project_id, host=host)


async def _make_one(
    call: Call, caller: Caller, host: str, wanted: ContainerPort
) -> ContainerPortOutcome:
    draft = PortDraft(
        id=new_id(),
        project_id=caller.project_id,
        network_id="",
        network_labels=values.selector("network_labels", wanted.network_labels),
        name=wanted.name,
        unique_name=wanted.unique_name,
        device_id=wanted.device_id,
        device_owner=CONTAINER_OWNER,
        host=host,
    )
    (port,) = await call.service.commit(CreatePorts(caller=caller, drafts=(draft,)))
    if not _is_containers(port, host):
        raise UniqueNameConflict(
            f"unique_name '{wanted.unique_name}' is that of a port that is no container's on host"
            f" {host}.",
            next="Give that port another name, or delete it.",
        )
    return ContainerPortOutcome(port=port)


async def _end_one(
    call: Call, caller: Caller, host: str, name: str, found: Mapping[str, Port]
) -> ContainerPortOutcome:
    port = found.get(name)
    if port is None or not _is_containers(port, host):
        raise PortNotFound(f"No container's port on host {host} has unique_name '{name}'.")
    await call.service.commit(DeletePorts(caller=caller, ids=(port.id,)))
    return ContainerPortOutcome()


def _is_containers(port: Port, host: str) -> bool:
    binding = port.active_binding
    return port.device_owner == CONTAINER_OWNER and binding is not None and binding.host == host


async def _each(attempts: Iterable[Awaitable[ContainerPortOutcome]]) -> Reply:
    """All at once, which are one commit or few; each one's outcome in order."""
    return json_reply(
        ContainerPortOutcomes(outcomes=tuple(await asyncio.gather(*map(_said, attempts))))
    )


async def _said(attempt: Awaitable[ContainerPortOutcome]) -> ContainerPortOutcome:
    try:
        return await attempt
    except NetwrightError as error:
        status = HTTP_STATUS[error.category]
        return ContainerPortOutcome(
            error=ItemError(status=status, type=error.type, message=error.message, next=error.next)
        )
