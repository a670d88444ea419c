"""The native API, typed: one method a request (INTERFACES: hosts, reports, watch, history)."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from types import NoneType
from typing import Any
from urllib.parse import quote

from netwright.client.errors import nonsense
from netwright.client.http import Http
from netwright.client.mirror import Mirror
from netwright.client.watch import SILENCE_S, LineFramer
from netwright.model.errors import NotFound
from netwright.model.fabric import FabricReports, OperationAnswer
from netwright.model.operations import Action, OperationState
from netwright.model.resources import Host, Transition, Value
from netwright.model.topology import Topology
from netwright.model.trace import Trace
from netwright.model.wire import (
    ContainerPortOutcomes,
    ContainerPorts,
    DeviceAnswers,
    DevicesSeen,
    EndedContainerPorts,
    Heartbeat,
    HostRegistration,
    Kind,
    LeaseGrant,
    LeaseRequest,
    LeaseState,
    ReportBatch,
    ReportResults,
    WatchLine,
)

MAKING_S_MAX = 30.0
"""How long an answer for containers' ports is waited for: hundreds of hosts may ask at once, and
who asks again is queued once more."""

REPORTING_S_MAX = 20.0
"""Likewise, of what came of them. No longer: a connection that is broken looks the same."""


class HostList(Value, frozen=True, kw_only=True):
    hosts: tuple[Host, ...]


class History(Value, frozen=True, kw_only=True):
    """A port's transitions, oldest first."""

    history: tuple[Transition, ...]


class OperationError(Value, frozen=True, kw_only=True):
    type: str
    fault: str
    message: str
    next: str = ""


class OperationStatus(Value, frozen=True, kw_only=True):
    """`/v1/operations/ID`."""

    id: str
    state: OperationState
    result: Any = None
    error: OperationError | None = None


class Client(Http):
    """A server's native API. Errors are `model.errors`' classes, as `Http.call` says."""

    async def register_host(self, name: str, registration: HostRegistration) -> Host:
        return await self.call("PUT", _host(name), Host, body=registration)

    async def heartbeat(self, name: str, heartbeat: Heartbeat) -> None:
        await self.call("POST", _host(name, "heartbeat"), NoneType, body=heartbeat)

    async def devices_seen(self, name: str, devices: DevicesSeen) -> DeviceAnswers:
        return await self.call("POST", _host(name, "devices"), DeviceAnswers, body=devices)

    async def report(self, batch: ReportBatch) -> ReportResults:
        return await self.call(
            "POST", "/v1/reports", ReportResults, body=batch, timeout_s=REPORTING_S_MAX
        )

    async def make_container_ports(
        self, host: str, wanted: ContainerPorts
    ) -> ContainerPortOutcomes:
        path = _host(host, "container-ports")
        return await self.call(
            "POST", path, ContainerPortOutcomes, body=wanted, timeout_s=MAKING_S_MAX
        )

    async def end_container_ports(
        self, host: str, ended: EndedContainerPorts
    ) -> ContainerPortOutcomes:
        path = _host(host, "container-ports")
        return await self.call("DELETE", path, ContainerPortOutcomes, body=ended)

    async def watch(
        self,
        kinds: Sequence[Kind],
        host: str | None,
        after: str | None,
        groups: Sequence[str] = (),
    ) -> AsyncGenerator[Sequence[WatchLine], None]:
        """Lines as they arrive (`watch.Watch` makes a lasting stream of it)."""
        params = [("kinds", ",".join(kinds))]
        params += [("host", host)] if host is not None else []
        params += [("group", group) for group in groups]
        params += [("after", after)] if after is not None else []
        framer = LineFramer()
        async for chunk in self.stream("/v1/watch", params=params, silence_s=SILENCE_S):
            if lines := framer.feed(chunk):
                yield lines

    async def hosts(self) -> tuple[Host, ...]:
        return (await self.call("GET", "/v1/hosts", HostList)).hosts

    async def host(self, name: str) -> Host:
        return await self.call("GET", _host(name), Host)

    async def fence(self, name: str, reason: str) -> Host:
        """Answer for the host being dead: its bindings are fenced (law 5)."""
        return await self.call("POST", _host(name, "fence"), Host, body={"reason": reason})

    async def unfence(self, name: str) -> Host:
        return await self.call("POST", _host(name, "unfence"), Host)

    async def delete_host(self, name: str) -> None:
        """Forget a host that is gone for good; its credential is revoked."""
        await self.call("DELETE", _host(name), NoneType)

    async def host_credential(self, name: str) -> str:
        """The token that makes its bearer the agent of this host; for admins only."""
        answer = await self.call("POST", _host(name, "credential"), dict[str, str])
        return answer["token"]

    async def port_history(self, port_id: str) -> tuple[Transition, ...]:
        path = f"/v1/ports/{quote(port_id, safe='')}/history"
        return (await self.call("GET", path, History)).history

    async def port_explain(self, port_id: str) -> dict[str, Any]:
        path = f"/v1/ports/{quote(port_id, safe='')}/explain"
        return await self.call("GET", path, dict[str, Any])

    async def take_lease(self, name: str, wish: LeaseRequest) -> LeaseGrant:
        """Take or renew a lease; `ttl_s` 0 gives it back. Raises LeaseHeld while another has it."""
        path = f"/v1/leases/{quote(name, safe='')}"
        return await self.call("POST", path, LeaseGrant, body=wish)

    async def lease(self, name: str) -> LeaseState | None:
        """Who holds a lease, or held it last; None: nobody ever did."""
        try:
            return await self.call("GET", f"/v1/leases/{quote(name, safe='')}", LeaseState)
        except NotFound:
            return None

    async def report_fabric(self, reports: FabricReports) -> None:
        """Raises a Conflict when the token is not that of the lease any more."""
        await self.call("POST", "/v1/fabric/reports", Any, body=reports)

    async def answer_operation(self, id_: str, answer: OperationAnswer) -> None:
        """The fabric controller's word on an operation. Raises a Conflict as `report_fabric`."""
        await self.call("PUT", f"/v1/operations/{quote(id_, safe='')}", Any, body=answer)

    async def ask_fabric(self, action: Action, arguments: Mapping[str, Any]) -> OperationStatus:
        """Ask the fabric controller for something; `operation` tells what became of it."""
        return await self.call("POST", f"/v1/fabric/{action}", OperationStatus, body=arguments)

    async def operation(self, id_: str, *, wait_s: int = 0) -> OperationStatus:
        """An operation, when it has ended or after so long."""
        headers = {"Prefer": f"wait={wait_s}"} if wait_s else {}
        path = f"/v1/operations/{quote(id_, safe='')}"
        return await self.call("GET", path, OperationStatus, headers=headers)

    async def snapshot(self, kinds: Sequence[Kind]) -> Mirror:
        """All that there is of these kinds now."""
        mirror = Mirror()
        async with aclosing(self.watch(kinds, None, None)) as stream:
            async for lines in stream:
                for line in lines:
                    mirror.feed(line)
                if mirror.complete:
                    return mirror
        raise nonsense(f"{self.server}/v1/watch", "it ended amid a snapshot")

    async def switches(self) -> Sequence[dict[str, Any]]:
        """The switches of the inventory, and how each stands."""
        answer = await self.call("GET", "/v1/switches", dict[str, list[dict[str, Any]]])
        return answer["switches"]

    async def switch(self, name: str) -> dict[str, Any]:
        return await self.call("GET", f"/v1/switches/{quote(name, safe='')}", dict[str, Any])

    async def fabric_capacity(self) -> Sequence[dict[str, Any]]:
        """What each leaf holds of what it can hold."""
        answer = await self.call("GET", "/v1/fabric/capacity", dict[str, list[dict[str, Any]]])
        return answer["switches"]

    async def links(self, host: str | None = None) -> Sequence[dict[str, Any]]:
        """What inventory, LLDP and leaves say of links; of a host's alone, if one is named."""
        params = {"host": host} if host is not None else None
        answer = await self.call("GET", "/v1/links", dict[str, list[dict[str, Any]]], params=params)
        return answer["links"]

    async def fabric_credential(self) -> str:
        """The token that makes its bearer the fabric controller; for admins only."""
        return (await self.call("POST", "/v1/fabric/credential", dict[str, str]))["token"]

    async def topology(self) -> Topology:
        return await self.call("GET", "/v1/topology", Topology)

    async def replace_topology(self, topology: Topology) -> Topology:
        return await self.call("PUT", "/v1/topology", Topology, body=topology)

    async def trace(self, source: str, target: str) -> Trace:
        """The devices between two ports, each given by id, name or address."""
        params = {"src": source, "dst": target}
        return await self.call("GET", "/v1/trace", Trace, params=params)


def _host(name: str, action: str = "") -> str:
    return f"/v1/hosts/{quote(name, safe='')}" + (f"/{action}" if action else "")
