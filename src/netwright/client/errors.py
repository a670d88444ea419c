"""Turns what the server answers, or that it doesn't, into the errors of `model.errors`."""

from collections.abc import Mapping
from typing import Any

import msgspec

from netwright.model import container_errors, errors, security_errors
from netwright.model.errors import (
    HTTP_STATUS,
    CallerError,
    Category,
    Conflict,
    Denied,
    InternalError,
    NetwrightError,
    NotFound,
    StaleRevision,
    Unauthenticated,
    Unavailable,
)
from netwright.model.wire import ItemError

_BY_CATEGORY: Mapping[Category, type[NetwrightError]] = {
    Category.INVALID: CallerError,
    Category.UNAUTHENTICATED: Unauthenticated,
    Category.DENIED: Denied,
    Category.NOT_FOUND: NotFound,
    Category.CONFLICT: Conflict,
    Category.STALE: StaleRevision,
    Category.UNAVAILABLE: Unavailable,
    Category.INTERNAL: InternalError,
}
# Only the model's: subclasses elsewhere are local matters, and made in their own ways.
_BY_TYPE: Mapping[str, type[NetwrightError]] = {
    error.type: error
    for module in (errors, security_errors, container_errors)
    for error in vars(module).values()
    if isinstance(error, type) and issubclass(error, NetwrightError)
}
_CATEGORY = {status: category for category, status in HTTP_STATUS.items()}
# What a proxy before the server says when the server does not answer (RFC 9110, 15.6), and a
# server that is asked too much (RFC 6585).
_CATEGORY |= dict.fromkeys((429, 502, 504), Category.UNAVAILABLE)

_SERVER_ERROR = 500
_TEXT_CHARACTERS_MAX = 200


def from_response(url: str, status: int, body: bytes) -> NetwrightError:
    """The error that the server sent, as its own class where we have one, else by its status."""
    kind, message, what_next = _parsed(body)
    return _class(status, kind)(message or f"{url} answered HTTP {status}", next=what_next)


def from_item(error: ItemError) -> NetwrightError:
    """The error of one item among many, likewise."""
    return _class(error.status, error.type)(error.message, next=error.next)


def unreachable(url: str, why: str) -> Unavailable:
    """No answer came. Whether the request was carried out is not known."""
    return Unavailable(
        f"The server at {url} cannot be reached: {why}.",
        next="Check that it runs (netwright server) and that its address is right (--server).",
    )


def nonsense(url: str, why: str) -> InternalError:
    """An answer came that is none of the API's."""
    return InternalError(
        f"{url} answered what this program does not understand: {why}.",
        next="Check that a netwright server listens there, and that its release fits this one.",
    )


def _class(status: int, kind: str) -> type[NetwrightError]:
    fallback = Category.INTERNAL if status >= _SERVER_ERROR else Category.INVALID
    category = _CATEGORY.get(status, fallback)
    error = _BY_TYPE.get(kind, _BY_CATEGORY[category])
    # A type may be one that another release uses otherwise.
    return error if error.category is category else _BY_CATEGORY[category]


def _parsed(body: bytes) -> tuple[str, str, str]:
    """(type, message, next) of an error body of either API; a foreign body is the message."""
    try:
        document: Any = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return "", body.decode(errors="replace").strip()[:_TEXT_CHARACTERS_MAX], ""
    if isinstance(document, dict):
        native, neutron = document.get("error"), document.get("NeutronError")
        if isinstance(native, dict):
            return _text(native, "type"), _text(native, "message"), _text(native, "next")
        if isinstance(neutron, dict):
            return _text(neutron, "type"), _text(neutron, "message"), _text(neutron, "detail")
    return "", str(document)[:_TEXT_CHARACTERS_MAX], ""


def _text(document: Mapping[str, Any], key: str) -> str:
    return str(document.get(key) or "")
