"""Requests that prefer not to be waited for: `Prefer: respond-async` (RFC 7240, section 4.1).

202 with the operation's Location; what becomes of it is told at `/v1/operations/ID`.
"""

from collections.abc import Callable, Sequence

from netwright.model.errors import NetwrightError
from netwright.model.operations import Action, Operation
from netwright.server.api.ids import new_id
from netwright.server.api.operation_view import OperationView
from netwright.server.api.reply import Reply, json_reply
from netwright.server.api.route import Call
from netwright.server.api.v2.outcomes import LENIENT
from netwright.server.commands import Command, Refused, Step
from netwright.server.operations import failure_of

ASYNC = "respond-async"

Prepare = Callable[[], Command]
"""Makes the command for a part of a request; raises what the caller did wrong."""


async def deferred(
    call: Call, collection: str, action: Action, prepare: Sequence[Prepare], *, many: bool
) -> Reply:
    """Accept the request; what can be said to be wrong with it already is said at once."""
    lenient = many and LENIENT in call.preferences
    steps: list[Step] = [_step(each) if lenient else each() for each in prepare]
    operation = Operation(
        id=new_id(),
        project_id=call.caller.project_id,
        collection=collection,
        action=action,
        many=many,
        lenient=lenient,
    )
    accepted = await call.service.defer(call.caller, operation, steps)
    applied = f"{ASYNC}, {LENIENT}" if lenient else ASYNC
    headers = (
        (b"location", f"{call.base_url}/v1/operations/{operation.id}".encode()),
        (b"preference-applied", applied.encode()),
    )
    return json_reply(OperationView.of(accepted, None), 202)._replace(headers=headers)


def _step(prepare: Prepare) -> Step:
    try:
        return prepare()
    except NetwrightError as error:
        return Refused(failure=failure_of(error))
