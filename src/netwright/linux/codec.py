"""Netlink messages as bytes (RFC 3549): headers, attributes. Pure.

pyroute2 decodes every attribute of every link; a leaf has thousands of links, of which a dozen
attributes matter (ADR 26 has the measurement).
"""

import struct
from collections.abc import Iterator, Mapping

import msgspec

REQUEST, ACK, DUMP, CREATE, EXCLUSIVE, REPLACE = 0x1, 0x4, 0x300, 0x400, 0x200, 0x100
ERROR, DONE = 2, 3
NESTED = 0x8000

_HEADER = struct.Struct("=IHHII")
_ATTRIBUTE = struct.Struct("=HH")


class Request(msgspec.Struct, frozen=True):
    """A message to the kernel; `what` says in words what it asks for, for errors and logs."""

    kind: int
    body: bytes
    flags: int = 0
    what: str = ""


def attribute(kind: int, value: bytes | int | str) -> bytes:
    """Numbers are 32 bits long here; text ends in a zero."""
    if isinstance(value, int):
        value = value.to_bytes(4, "little")
    elif isinstance(value, str):
        value = value.encode() + b"\0"
    length = 4 + len(value)
    return _ATTRIBUTE.pack(length, kind) + value + b"\0" * (-length % 4)


def nested(kind: int, *parts: bytes) -> bytes:
    return attribute(kind | NESTED, b"".join(parts))


def attributes(data: bytes, offset: int = 0) -> dict[int, bytes]:
    """The last of each kind, the nesting flag taken off."""
    found: dict[int, bytes] = {}
    end, unpack = len(data) - 3, _ATTRIBUTE.unpack_from
    while offset < end:  # the same as below, without a generator: a leaf's dump is long
        length, kind = unpack(data, offset)
        if length < 4:  # noqa: PLR2004 (as below)
            break
        found[kind & 0x3FFF] = data[offset + 4 : offset + length]
        offset += (length + 3) & ~3
    return found


def each_attribute(data: bytes, offset: int = 0) -> Iterator[tuple[int, bytes]]:
    end, unpack = len(data) - 3, _ATTRIBUTE.unpack_from
    while offset < end:
        length, kind = unpack(data, offset)
        if length < 4:  # noqa: PLR2004 (an attribute's own header; less would loop for ever)
            return
        yield kind & 0x3FFF, data[offset + 4 : offset + length]
        offset += (length + 3) & ~3


def message(request: Request, sequence: int, flags: int) -> bytes:
    length = _HEADER.size + len(request.body)
    header = _HEADER.pack(length, request.kind, request.flags | flags, sequence, 0)
    return header + request.body + b"\0" * (-length % 4)


def messages(data: bytes) -> Iterator[tuple[int, int, int, bytes]]:
    """Kind, flags, sequence number and body of each."""
    offset = 0
    while offset + _HEADER.size <= len(data):
        length, kind, flags, sequence, _ = _HEADER.unpack_from(data, offset)
        yield kind, flags, sequence, data[offset + _HEADER.size : offset + length]
        offset += (length + 3) & ~3


def number(value: bytes | None) -> int:
    """Of any length; 0 when absent."""
    return int.from_bytes(value or b"", "little")


def text(values: Mapping[int, bytes], kind: int) -> str:
    return values.get(kind, b"").rstrip(b"\0").decode(errors="replace")
