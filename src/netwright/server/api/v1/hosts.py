"""Hosts and their agents: registration, heartbeats, devices, reports, fences, credentials."""

import re
from collections.abc import Sequence

from msgspec import Struct

from netwright.model.errors import Denied, HostNotFound, InvalidInput
from netwright.model.resources import Host
from netwright.model.wire import (
    DeviceAnswers,
    DevicesSeen,
    Heartbeat,
    HostRegistration,
    Message,
    ReportBatch,
    ReportResults,
)
from netwright.server.api.body import Shape
from netwright.server.api.errors import invalid
from netwright.server.api.reply import Reply, json_reply
from netwright.server.api.route import Access, Call, Route
from netwright.server.auth import Authenticator
from netwright.server.commands import (
    ApplyReports,
    Command,
    DeleteHost,
    FenceHost,
    HeartbeatHost,
    RegisterHost,
    SeeDevices,
    UnfenceHost,
)

_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,251}[A-Za-z0-9])?")


class Fence(Message, frozen=True, kw_only=True):
    """Why the host is declared dead; its ports' histories keep it."""

    reason: str


class Hosts(Struct, frozen=True):
    hosts: Sequence[Host]


class Credential(Struct, frozen=True):
    """What the agent of this host sends as X-Auth-Token."""

    host: str
    token: str


_registration = Shape(HostRegistration)
_heartbeat = Shape(Heartbeat)
_devices = Shape(DevicesSeen)
_reports = Shape(ReportBatch)
_fence = Shape(Fence)


def routes(authenticator: Authenticator) -> tuple[Route, ...]:
    async def credential(call: Call) -> Reply:
        name = host_of(call)
        return json_reply(Credential(name, authenticator.host_credential(name)))

    async def decommission(call: Call) -> Reply:
        name = host_of(call)
        times = await call.service.commit(DeleteHost(caller=call.caller, host=name))
        authenticator.learn_revocations({name: times})
        return Reply(204)

    one, agent, admin = "/v1/hosts/{name}", Access.AGENT, Access.ADMIN
    return (
        Route("GET", "/v1/hosts", _list, admin, "List hosts", response=Hosts),
        Route("GET", one, _show, agent, "Show a host", response=Host),
        Route("PUT", one, _register, agent, "Register a host", HostRegistration, Host),
        Route("DELETE", one, decommission, admin, "Delete a host that is gone", statuses=(204,)),
        Route("POST", f"{one}/heartbeat", _beat, agent, "Say that an agent lives", Heartbeat, Host),
        Route("POST", f"{one}/devices", _see, agent, "Tell of devices", DevicesSeen,
              DeviceAnswers),
        Route("POST", f"{one}/fence", _declare_dead, admin, "Fence a host", Fence, Host),
        Route("POST", f"{one}/unfence", _unfence, admin, "Lift a host's fence", response=Host),
        Route("POST", f"{one}/credential", credential, admin, "Show an agent's credential",
              response=Credential),
        Route("POST", "/v1/reports", _report, agent, "Report planes", ReportBatch, ReportResults),
    )  # fmt: skip


def require_host(call: Call, host: str) -> None:
    """An agent's credential speaks for its own host only; raises Denied."""
    if call.caller.host not in (None, host):
        raise Denied(
            f"The credential of host {call.caller.host} cannot speak for {host}.",
            next=f"Take the credential of {host}: POST /v1/hosts/{host}/credential as admin.",
        )


async def _list(call: Call) -> Reply:
    return json_reply(Hosts(await call.service.reader.hosts()))


async def _show(call: Call) -> Reply:
    name = host_of(call)
    host = await call.service.reader.host(name)
    if host is None:
        raise HostNotFound(
            f"Host {name} has never registered.", next=f"Start netwright agent --host {name}."
        )
    return json_reply(host)


async def _register(call: Call) -> Reply:
    name, body = host_of(call), _registration.decode(await call.body())
    _require_text("epoch", body.epoch)
    _require_text("driver", body.driver)
    return await _done(call, RegisterHost(caller=call.caller, host=name, registration=body))


async def _beat(call: Call) -> Reply:
    name, body = host_of(call), _heartbeat.decode(await call.body())
    return await _done(call, HeartbeatHost(caller=call.caller, host=name, heartbeat=body))


async def _see(call: Call) -> Reply:
    name, body = host_of(call), _devices.decode(await call.body())
    return await _done(call, SeeDevices(caller=call.caller, host=name, devices=body))


async def _declare_dead(call: Call) -> Reply:
    name, body = host_of(call), _fence.decode(await call.body())
    _require_text("reason", body.reason)
    return await _done(call, FenceHost(caller=call.caller, host=name, reason=body.reason))


async def _unfence(call: Call) -> Reply:
    return await _done(call, UnfenceHost(caller=call.caller, host=host_of(call)))


async def _report(call: Call) -> Reply:
    batch = _reports.decode(await call.body())
    require_host(call, batch.host)
    for index, report in enumerate(batch.reports):
        if (report.port_id is None) == (report.network_id is None):
            raise invalid(
                "reports", f"reports[{index}] needs either port_id or network_id, not both"
            )
    return await _done(call, ApplyReports(caller=call.caller, batch=batch))


async def _done(call: Call, command: Command) -> Reply:
    return json_reply(await call.service.commit(command))


def host_of(call: Call) -> str:
    """The host in the path, in a form that host names have; the caller may speak for it."""
    name = call.path["name"]
    if not _NAME.fullmatch(name):
        raise InvalidInput(
            f"Invalid input for host. Reason: {name!r} is no host name.",
            next="Use letters, digits, dots, hyphens and underscores, 253 characters at most.",
        )
    require_host(call, name)
    return name


def _require_text(attribute: str, value: str) -> None:
    if not 1 <= len(value) <= 255:  # noqa: PLR2004
        raise invalid(attribute, f"it has {len(value)} characters, not 1 to 255")
