"""tc: the clsact hook of an interface and the BPF filters on it (linux/pkt_sched.h, pkt_cls.h)."""

import struct

from netwright.linux.codec import (
    CREATE,
    EXCLUSIVE,
    REPLACE,
    Request,
    attribute,
    attributes,
    nested,
    number,
    text,
)
from netwright.model.resources import Value

PRIORITY = 119
"""Of filters of ours; whoever has another one is left alone."""

_NEW_QDISC, _DELETE_QDISC = 36, 37
_NEW_FILTER, _DELETE_FILTER, _GET_FILTER = 44, 45, 46
_CLSACT, _CLSACT_HANDLE = 0xFFFFFFF1, 0xFFFF0000
INGRESS, EGRESS = 0xFFFFFFF2, 0xFFFFFFF3
_ALL_PROTOCOLS = 0x0300  # ETH_P_ALL in network order
_KIND, _OPTIONS, _FD, _NAME, _FLAGS, _ID = 1, 2, 6, 7, 8, 11
_DIRECT_ACTION = 1
_HEAD = struct.Struct("=BBHiIII")


class Filter(Value, frozen=True):
    """`name` and `program` (the kernel's id) are a BPF filter's."""

    priority: int
    name: str
    program: int


def add_hook(index: int, what: str) -> Request:
    """Raises EEXIST where there is one."""
    body = _HEAD.pack(0, 0, 0, index, _CLSACT_HANDLE, _CLSACT, 0) + attribute(_KIND, "clsact")
    return Request(_NEW_QDISC, body, CREATE | EXCLUSIVE, f"clsact on {what}")


def delete_hook(index: int, what: str) -> Request:
    body = _HEAD.pack(0, 0, 0, index, _CLSACT_HANDLE, _CLSACT, 0)
    return Request(_DELETE_QDISC, body, 0, f"removing clsact from {what}")


def set_filter(index: int, name: str, program: int, what: str, parent: int = INGRESS) -> Request:
    """Swaps in one step what stood there."""
    info = PRIORITY << 16 | _ALL_PROTOCOLS
    options = nested(
        _OPTIONS, attribute(_FD, program), attribute(_NAME, name), attribute(_FLAGS, _DIRECT_ACTION)
    )
    body = _HEAD.pack(0, 0, 0, index, 1, parent, info) + attribute(_KIND, "bpf") + options
    return Request(_NEW_FILTER, body, CREATE | REPLACE, f"filter {name} on {what}")


def delete_filter(index: int, what: str, parent: int = INGRESS) -> Request:
    body = _HEAD.pack(0, 0, 0, index, 0, parent, PRIORITY << 16 | _ALL_PROTOCOLS)
    return Request(_DELETE_FILTER, body, 0, f"removing the filter from {what}")


def get_filter(index: int, parent: int = INGRESS) -> Request:
    """Ours on one side of an interface; many may be asked for together."""
    info = PRIORITY << 16 | _ALL_PROTOCOLS
    body = _HEAD.pack(0, 0, 0, index, 1, parent, info) + attribute(_KIND, "bpf")
    return Request(_GET_FILTER, body, 0, "a filter")


def dump_filters(index: int, parent: int = INGRESS) -> Request:
    return Request(_GET_FILTER, _HEAD.pack(0, 0, 0, index, 0, parent, 0), 0, "filters")


def parse_filter(body: bytes) -> Filter | None:
    """None: a header of a priority, not a filter."""
    *_, handle, _, info = _HEAD.unpack_from(body)
    if not handle:
        return None
    options = attributes(attributes(body, _HEAD.size).get(_OPTIONS, b""))
    return Filter(priority=info >> 16, name=text(options, _NAME), program=number(options.get(_ID)))
