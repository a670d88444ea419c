"""Ports that a host's agent asks for, for containers on its own host, and whose end it tells.

    POST    made and bound to the host at once; or the one of that name, bound or moved here
    DELETE  the containers that ended: their ports are deleted, or kept as long as was asked for

Each port is a command of its own, decided in the committer (`server.containers`): what one cannot
have costs the others nothing. An agent does so in the projects that the server's settings name,
with what networks those may use, and in no other way.
"""

import asyncio
from collections.abc import Awaitable, Collection, Iterable, Iterator, Sequence
from functools import partial
from typing import TypeAlias

from netwright.model.container_errors import NameHeld
from netwright.model.containers import SLOT, WHILE_OWNER_EXISTS, keep_s
from netwright.model.errors import (
    HTTP_STATUS,
    Denied,
    HostNotFound,
    NetwrightError,
    StaleEpoch,
)
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
from netwright.server.api.errors import invalid
from netwright.server.api.ids import new_id
from netwright.server.api.reply import Reply, json_reply
from netwright.server.api.route import Access, Call, Route
from netwright.server.api.v1.hosts import host_of
from netwright.server.api.v1.pod_checks import Checked, PodChecks
from netwright.server.api.v2 import values
from netwright.server.commands import Caller, PortDraft
from netwright.server.containers.commands import ClaimPort, EndClaim

SLOTS_AT_ONCE_MAX = 100_000
"""Of all names: their holders are read at once, and others' commands wait meanwhile (0.2 s)."""

_Asked: TypeAlias = Checked | NetwrightError

_wanted = Shape(ContainerPorts)
_ended = Shape(EndedContainerPorts)


def routes(projects: Collection[str], pods: PodChecks | None = None) -> tuple[Route, ...]:
    path = "/v1/hosts/{name}/container-ports"
    return (
        Route("POST", path, partial(_make, projects, pods), Access.AGENT,
              "Make ports for a host's containers", ContainerPorts, ContainerPortOutcomes),
        Route("DELETE", path, partial(_end, projects), Access.AGENT,
              "Delete ports of a host's containers", EndedContainerPorts, ContainerPortOutcomes),
    )  # fmt: skip


async def _make(projects: Collection[str], pods: PodChecks | None, call: Call) -> Reply:
    host, body = host_of(call), _wanted.decode(await call.body())
    caller = _agent(call, projects, host, body)
    asked: Sequence[_Asked]
    if pods is None:
        asked = [Checked(each) for each in body.ports]
    else:
        asked = await pods.check(call.service.reader, body.project_id, host, body.ports)
    made: list[ContainerPortOutcome] = []
    for part in _parts(asked):
        made += await _each(_make_one(call, caller, host, body.epoch, each) for each in part)
    return _told(made)


async def _end(projects: Collection[str], call: Call) -> Reply:
    host, body = host_of(call), _ended.decode(await call.body())
    if not (body.unique_names or body.ended):
        raise invalid("ended", "it names no container that ended")
    caller = _agent(call, projects, host, body)
    await _require_newest(call, host, body.epoch)
    ends = [EndClaim(caller=caller, host=host, unique_name=name) for name in body.unique_names]
    ends += [
        EndClaim(
            caller=caller,
            host=host,
            unique_name=each.unique_name,
            container_id=each.container_id,
            attempt=each.attempt,
        )
        for each in body.ended
    ]
    return _told(await _each(_end_one(call, end) for end in ends))


def _agent(
    call: Call, projects: Collection[str], host: str, body: ContainerPorts | EndedContainerPorts
) -> Caller:
    """On whose behalf the ports are made, or deleted: the project's, by this host's agent."""
    if body.project_id not in projects and not call.caller.is_admin:
        raise Denied(
            f"Agents may not make ports for containers in project {body.project_id}.",
            next="Name that project in the server's container_projects, or another in the agent's"
            " cni_project.",
        )
    return Caller(project_id=body.project_id, host=host)


async def _require_newest(call: Call, host: str, epoch: str) -> None:
    """By this host's agent and no older one; a claim is held to that where it is decided."""
    known = await call.service.reader.host(host)
    if known is None:
        raise HostNotFound(f"Host {host} has never registered.", next="Register it first.")
    if known.epoch != epoch:
        raise StaleEpoch(
            f"A newer agent of host {host} has registered than the one that asks.",
            next="End this agent; two of them must not serve one host.",
        )


async def _make_one(
    call: Call, caller: Caller, host: str, epoch: str, asked: _Asked
) -> ContainerPortOutcome:
    if isinstance(asked, NetwrightError):
        raise asked
    wanted = asked.wanted
    _check(wanted)
    draft = PortDraft(
        id=wanted.port_id or new_id(),
        is_chosen=bool(wanted.port_id),
        project_id=caller.project_id,
        network_id="",
        network_labels=values.selector("network_labels", wanted.network_labels),
        name=wanted.name,
        unique_name=wanted.unique_name,
        device_id=wanted.device_id,
        device_owner=CONTAINER_OWNER,
        host=host,
    )
    claim = ClaimPort(
        caller=caller,
        epoch=epoch,
        draft=draft,
        slots=wanted.slots,
        keep=wanted.keep,
        pod=wanted.pod,
        replaces=wanted.replaces,
        attempt=wanted.attempt,
        takes_from=asked.takes_from,
        takes=wanted.takes,
    )
    return ContainerPortOutcome(port=await call.service.commit(claim))


def _check(wanted: ContainerPort) -> None:
    """What the fields mean together. Raises InvalidInput."""
    if bool(wanted.slots) != (SLOT in wanted.unique_name):
        raise invalid("slots", f"it goes with a unique_name that holds {SLOT}, and with no other")
    if (wanted.keep or wanted.slots) and not wanted.device_id:
        raise invalid("device_id", "a name that lasts is given to a container, by its id")
    if not wanted.keep:
        return
    try:
        keep_s(wanted.keep)
    except ValueError as error:
        raise invalid("keep", str(error)) from None
    if wanted.keep == WHILE_OWNER_EXISTS and wanted.pod is None:
        raise invalid("keep", f"{WHILE_OWNER_EXISTS} needs the pod, whose owner is meant")


async def _end_one(call: Call, end: EndClaim) -> ContainerPortOutcome:
    await call.service.commit(end)
    return ContainerPortOutcome()


def _parts(asked: Iterable[_Asked]) -> Iterator[list[_Asked]]:
    """In order, such that those of a part wish for not too many different slots."""
    part: list[_Asked] = []
    wished: dict[str, int] = {}
    for each in asked:
        if isinstance(each, Checked) and each.wanted.slots:
            name, slots = each.wanted.unique_name, each.wanted.slots
            more = {**wished, name: max(slots, wished.get(name, 0))}
            if part and sum(more.values()) > SLOTS_AT_ONCE_MAX:
                yield part
                part, more = [], {name: slots}
            wished = more
        part.append(each)
    yield part


async def _each(
    attempts: Iterable[Awaitable[ContainerPortOutcome]],
) -> list[ContainerPortOutcome]:
    """All at once, which are one commit or few; each one's outcome in order."""
    said = [_said(attempt) for attempt in attempts]
    return [await said[0]] if len(said) == 1 else await asyncio.gather(*said)


def _told(outcomes: Iterable[ContainerPortOutcome]) -> Reply:
    return json_reply(ContainerPortOutcomes(outcomes=tuple(outcomes)))


async def _said(attempt: Awaitable[ContainerPortOutcome]) -> ContainerPortOutcome:
    """What concerns the host is the whole request's: it is raised."""
    try:
        return await attempt
    except (StaleEpoch, HostNotFound):
        raise
    except NetwrightError as error:
        status = HTTP_STATUS[error.category]
        said = ItemError(status=status, type=error.type, message=error.message, next=error.next)
        held_by = error.held_by if isinstance(error, NameHeld) else ""
        return ContainerPortOutcome(error=said, held_by=held_by)
