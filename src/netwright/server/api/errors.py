"""The one place where errors become HTTP: status, headers and body in both APIs' forms."""

from collections.abc import Mapping
from typing import ClassVar

import msgspec

from netwright.model.errors import (
    HTTP_STATUS,
    CallerError,
    Category,
    InvalidInput,
    NetwrightError,
    Unauthenticated,
)
from netwright.server.api.reply import Reply

RETRY_AFTER_S = 1


class HttpError(CallerError):
    """An error of HTTP itself, whose status no category has."""

    status: ClassVar[int]

    def __init__(self, message: str, *, next: str, allow: str = "") -> None:  # noqa: A002
        super().__init__(message, next=next)
        self.allow = allow


class PathNotFound(HttpError):
    category = Category.NOT_FOUND
    type = "HTTPNotFound"
    status = 404


class MethodNotAllowed(HttpError):
    type = "HTTPMethodNotAllowed"
    status = 405


class BodyTimeout(HttpError):
    type = "HTTPRequestTimeout"
    status = 408


class BodyTooLarge(HttpError):
    type = "HTTPRequestEntityTooLarge"
    status = 413


class UnsupportedMediaType(HttpError):
    type = "HTTPUnsupportedMediaType"
    status = 415


def invalid(attribute: str, reason: str) -> InvalidInput:
    """A value that an attribute cannot have, in the Networking API's words."""
    return InvalidInput(f"Invalid input for {attribute}. Reason: {reason.rstrip('.')}.")


def error_reply(error: NetwrightError, *, native: bool) -> Reply:
    """The reply to an error: `/v1` in the native form, all else in the Networking API's."""
    status = error.status if isinstance(error, HttpError) else HTTP_STATUS[error.category]
    body = _native(error) if native else _networking(error)
    return Reply(status, msgspec.json.encode(body), headers=tuple(_headers(error).items()))


def _networking(error: NetwrightError) -> Mapping[str, Mapping[str, str]]:
    return {
        "NeutronError": {"type": error.type, "message": error.message, "detail": error.next},
    }


def _native(error: NetwrightError) -> Mapping[str, Mapping[str, str]]:
    return {
        "error": {
            "type": error.type,
            "fault": error.fault,
            "message": error.message,
            "next": error.next,
        }
    }


def _headers(error: NetwrightError) -> dict[bytes, bytes]:
    if error.category is Category.UNAVAILABLE:
        return {b"retry-after": b"%d" % RETRY_AFTER_S}
    if isinstance(error, Unauthenticated):
        return {b"www-authenticate": error.challenge.encode()}
    if isinstance(error, HttpError) and error.allow:
        return {b"allow": error.allow.encode()}
    return {}
