"""What the fabric controller and its operators say: reports, credential, operations."""

from collections.abc import Mapping
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from netwright.model.errors import InvalidInput
from netwright.model.fabric import AttachmentReport, FabricReports
from netwright.model.operations import FABRIC, Action, Operation
from netwright.model.topology import Name
from netwright.model.wire import Message, ReportResult, ReportResults
from netwright.server.api.body import Shape
from netwright.server.api.ids import new_id
from netwright.server.api.operation_view import OperationView
from netwright.server.api.reply import Reply, json_reply
from netwright.server.api.route import Access, Call, Route
from netwright.server.auth import Authenticator
from netwright.server.fabric_commands import ApplyFabricReports, AskFabric

ATTACHMENTS_MAX = 100
"""How many attachments are decided at once: each may have hundreds of ports."""


class Credential(Struct, frozen=True):
    """What the fabric controller sends as X-Auth-Token."""

    token: str


class Switches(Message, frozen=True, kw_only=True):
    """Which switches are meant; all, when none is named."""

    switches: tuple[Name, ...] = ()


class OneSwitch(Message, frozen=True, kw_only=True):
    switch: Name


class Drain(OneSwitch, frozen=True, kw_only=True):
    """`force`: also when that cuts hosts off, which is refused otherwise."""

    force: bool = False


_reports = Shape(FabricReports)
_switches = Shape(Switches)
_one_switch = Shape(OneSwitch)
_drained = Shape(Drain)


def routes(authenticator: Authenticator) -> tuple[Route, ...]:
    async def credential(_call: Call) -> Reply:
        return json_reply(Credential(authenticator.controller_credential()))

    admin = Access.ADMIN
    return (
        Route("POST", "/v1/fabric/reports", _report, Access.FABRIC, "Report the fabric",
              FabricReports, ReportResults),
        Route("POST", "/v1/fabric/credential", credential, admin,
              "Show the fabric controller's credential", response=Credential),
        Route("POST", "/v1/fabric/plan", _plan, admin, "What apply would change", Switches,
              OperationView, (202,)),
        Route("POST", "/v1/fabric/apply", _apply, admin, "Bring switches to their plan", Switches,
              OperationView, (202,)),
        Route("POST", "/v1/fabric/drain", _drain, admin, "Take the traffic off a switch", Drain,
              OperationView, (202,)),
        Route("POST", "/v1/fabric/undrain", _undrain, admin, "Give a switch its traffic back",
              OneSwitch, OperationView, (202,)),
    )  # fmt: skip


async def _report(call: Call) -> Reply:
    """Some attachments at a time; what is said beside them goes with the last."""
    whole = _reports.decode(await call.body())
    results: list[ReportResult] = []
    parts = _parts(whole.attachments)
    for number, attachments in enumerate(parts, start=1):
        part = FabricReports(token=whole.token, attachments=attachments)
        if number == len(parts):
            part = replace(whole, attachments=attachments)
        done = await call.service.commit(ApplyFabricReports(caller=call.caller, reports=part))
        results += done.results
    return json_reply(ReportResults(results=tuple(results)))


def _parts(attachments: tuple[AttachmentReport, ...]) -> list[tuple[AttachmentReport, ...]]:
    starts = range(0, max(len(attachments), 1), ATTACHMENTS_MAX)
    return [attachments[start : start + ATTACHMENTS_MAX] for start in starts]


async def _plan(call: Call) -> Reply:
    return await _ask(call, Action.PLAN, await _named(call))


async def _apply(call: Call) -> Reply:
    return await _ask(call, Action.APPLY, await _named(call))


async def _drain(call: Call) -> Reply:
    asked = _drained.decode(await call.body())
    await _require_known(call, (asked.switch,))
    return await _ask(call, Action.DRAIN, {"switch": asked.switch, "force": asked.force})


async def _undrain(call: Call) -> Reply:
    asked = _one_switch.decode(await call.body())
    await _require_known(call, (asked.switch,))
    return await _ask(call, Action.UNDRAIN, {"switch": asked.switch})


async def _named(call: Call) -> Mapping[str, Any]:
    body = await call.body()
    asked = _switches.decode(body) if body else Switches()
    await _require_known(call, asked.switches)
    return {"switches": list(asked.switches)}


async def _require_known(call: Call, names: tuple[str, ...]) -> None:
    if not names:
        return
    known = {switch.name for switch in (await call.service.reader.topology()).switches}
    for name in names:
        if name not in known:
            raise InvalidInput(
                f"Invalid input for switches. Reason: {name} is no switch of the inventory.",
                next="netwright switch list has those there are",
            )


async def _ask(call: Call, action: Action, arguments: Mapping[str, Any]) -> Reply:
    """202 with the operation's place: the controller does it, and says there how it went."""
    operation = Operation(
        id=new_id(),
        project_id=call.caller.project_id,
        collection=FABRIC,
        action=action,
        arguments=arguments,
    )
    asked = await call.service.commit(AskFabric(caller=call.caller, operation=operation))
    headers = ((b"location", f"{call.base_url}/v1/operations/{operation.id}".encode()),)
    return json_reply(OperationView.of(asked, None), 202)._replace(headers=headers)
