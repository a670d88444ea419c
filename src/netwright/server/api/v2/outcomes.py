"""What became of each item of a request that prefers leniency (RFC 7240, section 4.4).

{"ports": [{"status": 201, "port": {…}}, {"status": 409, "NeutronError": {…}}]}
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import cache
from types import GenericAlias
from typing import Any, TypeAlias

import msgspec
from msgspec import UNSET, UnsetType

from netwright.model.errors import NetwrightError, Unavailable
from netwright.server.api.errors import error_reply
from netwright.server.api.reply import Reply, json_reply

LENIENT = "handling=lenient"

_APPLIED = ((b"preference-applied", LENIENT.encode()),)

Attempt: TypeAlias = Callable[[], Awaitable[Mapping[str, Any]]]
"""Does one item by itself: its `status`, and the resource as it now is, if there still is one."""


class _Error(msgspec.Struct, frozen=True):
    type: str
    message: str
    detail: str


@cache
def described(collection: str, name: str, view: type[msgspec.Struct]) -> Mapping[str, Any]:
    """The type of such a reply. A resource that is gone, or was not made, is left out."""
    outcome = msgspec.defstruct(
        f"{name.capitalize()}Outcome",
        [
            ("status", int),
            (name, view | UnsetType, UNSET),
            ("NeutronError", _Error | UnsetType, UNSET),
        ],
    )
    return {collection: GenericAlias(list, (outcome,))}


async def each_by_itself(collection: str, attempts: Sequence[Attempt]) -> Reply:
    """Do all at once, and say each one's outcome in their order: 200, whatever they are.

    Raises Unavailable when that is the outcome of all.
    """
    outcomes = await asyncio.gather(*(_said(attempt) for attempt in attempts))
    failures = [each for each in outcomes if isinstance(each, Unavailable)]
    if len(failures) == len(outcomes):
        raise failures[0]
    said = [_error(each) if isinstance(each, Unavailable) else each for each in outcomes]
    return json_reply({collection: said})._replace(headers=_APPLIED)


async def _said(attempt: Attempt) -> Mapping[str, Any] | Unavailable:
    try:
        return await attempt()
    except Unavailable as error:
        return error
    except NetwrightError as error:
        return _error(error)


def _error(error: NetwrightError) -> Mapping[str, Any]:
    refused = error_reply(error, native=False)
    return {"status": refused.status, **msgspec.json.decode(refused.body)}
