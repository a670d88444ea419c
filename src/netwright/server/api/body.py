"""Request bodies: read with bounds, decoded once, and what is wrong named by attribute."""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Generic, NoReturn, TypeVar

import msgspec

from netwright.http1.exchange import BodyTooLong, ClientGone, Exchange
from netwright.model.errors import CallerError, HTTPBadRequest
from netwright.model.wording import Misfit, misfit, plain
from netwright.server.api.errors import (
    BodyTimeout,
    BodyTooLarge,
    UnsupportedMediaType,
    invalid,
)
from netwright.server.api.reply import JSON

BODY_TIMEOUT_S = 30.0
_NESTING_MAX = 32

T = TypeVar("T")


async def read_body(exchange: Exchange, headers: Mapping[bytes, bytes], bytes_max: int) -> bytes:
    """The whole body; raises UnsupportedMediaType, BodyTooLarge, BodyTimeout, HTTPBadRequest."""
    media = headers.get(b"content-type", JSON)
    if media != JSON and media.partition(b";")[0].strip().lower() != JSON:
        raise UnsupportedMediaType(
            f"The body is {media.decode('latin-1')!r}, but only application/json is understood.",
            next="Send JSON with Content-Type: application/json.",
        )
    if int(headers.get(b"content-length", b"0")) > bytes_max:
        raise _too_large(bytes_max)  # who waits for 100 Continue hears it before sending
    try:
        return await exchange.body(bytes_max, BODY_TIMEOUT_S)
    except BodyTooLong:
        raise _too_large(bytes_max) from None
    except ClientGone:
        raise HTTPBadRequest(
            "The body was not whole: the client went away, or did not send it as its header says.",
            next="Send Content-Length and so many bytes, or chunks (RFC 9112, section 7.1).",
        ) from None
    except TimeoutError:
        raise BodyTimeout(
            f"The body had not arrived after {BODY_TIMEOUT_S:.0f} s.", next="Send it faster."
        ) from None


def _too_large(bytes_max: int) -> BodyTooLarge:
    return BodyTooLarge(
        f"The body is larger than the {bytes_max} bytes that this server takes.",
        next="Split the request into smaller ones.",
    )


class Shape(Generic[T]):
    """The form of a body: its type, and how errors name what is in it.

    A body of the Networking API wraps its resource: `{"port": {…}}` or `{"ports": […]}`; `wrapper`
    names those keys. `read_only` are attributes that exist but that this request cannot carry, a
    creation or, if `changes`, an update. Numbers and booleans may come as text, as the Networking
    API's clients send some of them.
    """

    def __init__(
        self,
        body: type[T],
        *,
        wrapped: bool = False,
        read_only: frozenset[str] = frozenset(),
        changes: bool = False,
    ) -> None:
        self.type = body
        self._decoder = msgspec.json.Decoder(body, strict=False)
        self._wrapped = wrapped
        self._read_only = read_only
        self._changes = changes

    def decode(self, raw: bytes) -> T:
        """The body as frozen values; raises HTTPBadRequest, and InvalidInput with the attribute."""
        if not raw.strip():
            keys = ", ".join(
                f'"{name}"' for name in getattr(self.type, "__struct_encode_fields__", ())
            )
            raise HTTPBadRequest(
                "The request has no body, and needs one.",
                next=f"Send a JSON object; it may have {keys}.",
            )
        try:
            value = self._decoder.decode(raw)
        except msgspec.ValidationError as error:
            whole = self._unwrapped(raw)
            if whole is None:
                self._explain(error, raw)
            raw, value = whole, self._decode_as_it_is(whole)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise HTTPBadRequest(
                f"The body is not JSON that can be read: {error}.", next="Send valid JSON in UTF-8."
            ) from None
        if b"\\u0000" in raw:
            self._refuse_nul(raw)
        return value

    def _decode_as_it_is(self, raw: bytes) -> T:
        try:
            return self._decoder.decode(raw)
        except msgspec.ValidationError as error:
            self._explain(error, raw)

    def _unwrapped(self, raw: bytes) -> bytes | None:
        """What is meant where each of many resources is wrapped once more, as Neutron takes it."""
        one, *others = getattr(self.type, "__struct_encode_fields__", ("",))
        body = plain(raw) if self._wrapped else None
        if not isinstance(body, dict):
            return None
        for many in others:
            wrapped = body.get(many) if body.keys() == {many} else None
            if isinstance(wrapped, list) and wrapped and all(map(_wraps(one), wrapped)):
                return msgspec.json.encode({many: [each[one] for each in wrapped]})
        return None

    def _explain(self, error: msgspec.ValidationError, raw: bytes) -> NoReturn:
        found = misfit(error, self.type, plain(raw))
        if found.unknown:
            raise self._unknown(found) from None
        if found.missing:
            raise HTTPBadRequest(
                "Failed to parse request. "
                f"Required attribute '{found.missing}' not specified{_within(found.path)}."
            ) from None
        attribute = self._attribute(found.path)
        if not attribute:
            said = found.said_of(found.path or "it")
            raise HTTPBadRequest(f"Body contains invalid data: {said}.") from None
        first, _, rest = found.path.partition(".")
        inner = rest if self._wrapped and "[" not in first else found.path
        reason = found.reason if inner == attribute else found.said_of(found.path)
        raise invalid(attribute, reason) from None

    def _unknown(self, found: Misfit) -> CallerError:
        attribute = self._attribute(found.path)
        if attribute:
            return invalid(attribute, f"it has no '{found.unknown}'{_meant(found.nearest)}")
        if found.unknown in self._read_only and self._changes:
            return HTTPBadRequest(f"Cannot update read-only attribute {found.unknown}")
        if found.unknown in self._read_only:
            return HTTPBadRequest(f"Attribute '{found.unknown}' not allowed in POST")
        return HTTPBadRequest(
            f"Unrecognized attribute(s) '{found.unknown}'",
            next=f"Did you mean '{found.nearest}'?" if found.nearest else "",
        )

    def _attribute(self, path: str) -> str:
        """The attribute that a path such as `ports[3].fixed_ips[0].subnet_id` leads into."""
        if self._wrapped:
            _, _, path = path.partition(".")
        return re.split(r"[.\[]", path, maxsplit=1)[0]

    def _refuse_nul(self, raw: bytes) -> None:
        resources = msgspec.json.decode(raw)
        if self._wrapped:
            resources = next(iter(resources.values()))
        for resource in resources if isinstance(resources, list) else [resources]:
            for attribute, value in resource.items():
                if any("\0" in text for text in _texts(value)):
                    raise invalid(attribute, "text with a NUL character cannot be stored")


def _wraps(name: str) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, dict) and value.keys() == {name}


def nesting_exceeds(value: Any, depth_max: int = _NESTING_MAX) -> bool:
    """Whether free-form JSON is nested deeper than others may be asked to walk."""
    level = [value]
    for _ in range(depth_max):
        level = [child for item in level for child in _children(item)]
        if not level:
            return False
    return True


def _texts(value: Any) -> Iterator[str]:
    stack = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, str):
            yield item
        elif isinstance(item, dict):
            yield from item
            stack.extend(item.values())
        elif isinstance(item, list):
            stack.extend(item)


def _children(value: Any) -> list[Any]:
    if isinstance(value, Mapping):
        return list(value.values())
    return list(value) if isinstance(value, list | tuple) else []


def _meant(nearest: str) -> str:
    return f"; did you mean '{nearest}'?" if nearest else ""


def _within(path: str) -> str:
    return f" in {path}" if path else ""
