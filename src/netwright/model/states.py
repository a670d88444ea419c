"""The state tables of bindings, attachments and ports: whole, as data.

State lives where it is true: in the *binding* (port, host, generation) for the underlay, in the
*attachment* (network, host) for the overlay. A port's state is derived from them by `port_state`.
`BINDING` and `ATTACHMENT` say what each event makes of a state; `PORT` says which states a port may
come to by an event, so that a derivation that the table does not hold is refused and logged, never
stored. What stands in no row cannot happen.

    binding     preparing ⇄ up ⇄ down, refused;  → withdrawing → withdrawn (the row goes);  fenced
    attachment  wanted ⇄ up ⇄ drifted, refused;  → withdrawing (the row goes when withdrawn)
    port        ALLOCATED → WIRING → ACTIVE ⇄ DEGRADED;  MOVING;  ERROR;  → RELEASING
"""

from collections.abc import Mapping
from enum import StrEnum


class Plane(StrEnum):
    """Where a path is made: host to leaf (underlay), above the leaf (overlay)."""

    UNDERLAY = "underlay"
    OVERLAY = "overlay"


class Event(StrEnum):
    """All that can happen to a binding, an attachment or a port."""

    BIND = "bind"  # a binding is made, or a withdrawing one revived with a new generation
    UNBIND = "unbind"  # the host is taken away
    REBIND = "rebind"  # another host becomes the active one
    READDRESS = "readdress"  # an address or the MAC goes from a port that hosts may have wired
    PREPARE = "prepare"  # an inactive binding is asked for, or planned anew: it answers for nothing
    ACTIVATE = "activate"  # a prepared binding becomes the active one; the one before, a prepared
    DEVICE_SEEN = "device_seen"  # the agent found the port's device on its host
    PLANE_UP = "plane_up"
    PLANE_DOWN = "plane_down"
    PLANE_REFUSED = "plane_refused"
    DEADLINE = "deadline"  # a plane stayed pending longer than its deadline
    UNPLUGGED = "unplugged"  # the device went away
    ADMIN_DOWN = "admin_down"
    ADMIN_UP = "admin_up"
    HOST_UNKNOWN = "host_unknown"  # the agent fell silent: nothing changes (law 5)
    HOST_FENCED = "host_fenced"
    HOST_BACK = "host_back"  # the host serves again: what was refused or fenced is tried again
    DELETE = "delete"
    WITHDRAWN = "withdrawn"  # the binding's wiring is confirmed gone
    RESTED = "rested"  # the last binding of a deleted port is gone: its addresses go to rest


class BindingState(StrEnum):
    PREPARING = "preparing"
    UP = "up"
    DOWN = "down"
    REFUSED = "refused"
    WITHDRAWING = "withdrawing"
    WITHDRAWN = "withdrawn"
    FENCED = "fenced"


class AttachmentState(StrEnum):
    WANTED = "wanted"
    UP = "up"
    DRIFTED = "drifted"
    REFUSED = "refused"
    WITHDRAWING = "withdrawing"
    WITHDRAWN = "withdrawn"


class PortState(StrEnum):
    ALLOCATED = "ALLOCATED"
    WIRING = "WIRING"
    MOVING = "MOVING"
    ACTIVE = "ACTIVE"
    DEGRADED = "DEGRADED"
    ERROR = "ERROR"
    RELEASING = "RELEASING"


MEANING: Mapping[PortState, str] = {
    PortState.ALLOCATED: "has address and MAC, no active binding",
    PortState.WIRING: "active binding; a needed plane is pending",
    PortState.MOVING: "as WIRING, while an older binding still withdraws",
    PortState.ACTIVE: "every needed plane is up on at least one verified path",
    PortState.DEGRADED: "was ACTIVE; no verified path left",
    PortState.ERROR: "a plane refused, or its deadline passed; the cause is kept, retries go on",
    PortState.RELEASING: "deleted; bindings withdraw; then its addresses rest",
}

API_STATUS: Mapping[PortState, str] = {
    PortState.ALLOCATED: "DOWN",
    PortState.WIRING: "BUILD",
    PortState.MOVING: "BUILD",
    PortState.ACTIVE: "ACTIVE",
    PortState.DEGRADED: "DOWN",
    PortState.ERROR: "ERROR",
    # RELEASING has none: the API answers 404.
}


def _binding_table() -> dict[tuple[BindingState, Event], BindingState]:
    s, e = BindingState, Event
    table = {
        (s.PREPARING, e.PLANE_UP): s.UP,
        (s.PREPARING, e.PLANE_DOWN): s.PREPARING,
        (s.PREPARING, e.UNPLUGGED): s.PREPARING,
        (s.PREPARING, e.PLANE_REFUSED): s.REFUSED,
        (s.PREPARING, e.DEADLINE): s.REFUSED,
        (s.UP, e.PLANE_UP): s.UP,
        (s.UP, e.PLANE_DOWN): s.DOWN,
        (s.UP, e.UNPLUGGED): s.DOWN,
        (s.UP, e.PLANE_REFUSED): s.REFUSED,
        (s.DOWN, e.PLANE_UP): s.UP,
        (s.DOWN, e.PLANE_DOWN): s.DOWN,
        (s.DOWN, e.UNPLUGGED): s.DOWN,
        (s.DOWN, e.PLANE_REFUSED): s.REFUSED,
        (s.REFUSED, e.PLANE_UP): s.UP,
        (s.REFUSED, e.PLANE_DOWN): s.REFUSED,
        (s.REFUSED, e.UNPLUGGED): s.REFUSED,
        (s.REFUSED, e.PLANE_REFUSED): s.REFUSED,
        (s.REFUSED, e.HOST_BACK): s.PREPARING,
        (s.WITHDRAWING, e.WITHDRAWN): s.WITHDRAWN,
        (s.WITHDRAWING, e.BIND): s.PREPARING,
        # Asked for while it still withdraws: it is prepared when that is proven.
        (s.WITHDRAWING, e.PREPARE): s.WITHDRAWING,
        (s.WITHDRAWING, e.ACTIVATE): s.PREPARING,
        (s.FENCED, e.BIND): s.PREPARING,
        (s.FENCED, e.ACTIVATE): s.FENCED,
        (s.REFUSED, e.ACTIVATE): s.REFUSED,
        # The fence was the proof already; the port is still wanted there when the host is back.
        (s.FENCED, e.WITHDRAWN): s.FENCED,
        (s.FENCED, e.UNBIND): s.WITHDRAWN,
        (s.FENCED, e.REBIND): s.WITHDRAWN,
        (s.FENCED, e.DELETE): s.WITHDRAWN,
        (s.FENCED, e.HOST_BACK): s.PREPARING,
        # Fenced anew before its host was heard again.
        (s.FENCED, e.HOST_FENCED): s.FENCED,
    }
    live = (s.PREPARING, s.UP, s.DOWN, s.REFUSED)
    for state in live:
        table |= {
            (state, e.BIND): s.PREPARING,
            (state, e.PREPARE): s.PREPARING,
            # A new generation, in the same state: what stays of the port works on meanwhile.
            (state, e.READDRESS): state,
            (state, e.DEVICE_SEEN): state,
            (state, e.ADMIN_DOWN): state,
            (state, e.ADMIN_UP): state,
            (state, e.HOST_UNKNOWN): state,
            (state, e.UNBIND): s.WITHDRAWING,
            (state, e.REBIND): s.WITHDRAWING,
            (state, e.DELETE): s.WITHDRAWING,
            (state, e.HOST_FENCED): s.FENCED,
            # Unasked: the agent found its wiring gone. It is wanted still, and made again.
            (state, e.WITHDRAWN): s.PREPARING,
        }
    # What was up without answering for anything is not up yet.
    for state in (s.PREPARING, s.UP, s.DOWN):
        table[state, e.ACTIVATE] = s.PREPARING
    # A withdrawing binding ends by proof only: withdrawal or a fence (laws 2 and 5).
    table |= {(s.WITHDRAWING, e.HOST_FENCED): s.WITHDRAWN}
    table[s.WITHDRAWING, e.READDRESS] = s.WITHDRAWING
    for event in (e.DELETE, e.UNBIND, e.REBIND, e.HOST_UNKNOWN, e.DEVICE_SEEN, e.UNPLUGGED):
        table[s.WITHDRAWING, event] = s.WITHDRAWING
    return table


def _attachment_table() -> dict[tuple[AttachmentState, Event], AttachmentState]:
    s, e = AttachmentState, Event
    table = {
        (s.WITHDRAWING, e.BIND): s.WANTED,
        (s.WITHDRAWING, e.WITHDRAWN): s.WITHDRAWN,
        (s.WITHDRAWING, e.HOST_FENCED): s.WITHDRAWN,
        (s.REFUSED, e.HOST_BACK): s.WANTED,
    }
    for state in (s.WANTED, s.UP, s.DRIFTED, s.REFUSED):
        table |= {
            (state, e.BIND): state,
            (state, e.PLANE_UP): s.UP,
            (state, e.PLANE_DOWN): s.WANTED if state is s.WANTED else s.DRIFTED,
            (state, e.PLANE_REFUSED): s.REFUSED,
            (state, e.UNBIND): s.WITHDRAWING,
            (state, e.HOST_FENCED): s.WANTED,
            (state, e.WITHDRAWN): s.WANTED,
        }
    table[s.WANTED, e.DEADLINE] = s.REFUSED
    return table


def _port_table() -> dict[tuple[PortState, Event], frozenset[PortState]]:
    s, e = PortState, Event
    bound = (s.WIRING, s.MOVING, s.ACTIVE, s.DEGRADED, s.ERROR)
    pending = {s.WIRING, s.MOVING}
    table: dict[tuple[PortState, Event], set[PortState]] = {
        # ACTIVE at once: a port that needs no plane (a router's interface, bare metal on a VLAN).
        (s.ALLOCATED, e.BIND): {*pending, s.ACTIVE, s.ERROR, s.DEGRADED},
        (s.ALLOCATED, e.ACTIVATE): {*pending, s.ACTIVE, s.ERROR, s.DEGRADED},
        (s.ALLOCATED, e.WITHDRAWN): {s.ALLOCATED},
        (s.ALLOCATED, e.HOST_FENCED): {s.ALLOCATED},
        (s.ALLOCATED, e.UNBIND): {s.ALLOCATED},
        (s.ALLOCATED, e.READDRESS): {s.ALLOCATED},
        # Its device is wired ahead of its binding: nothing of that changes its state.
        (s.ALLOCATED, e.DEVICE_SEEN): {s.ALLOCATED},
        (s.ALLOCATED, e.PLANE_UP): {s.ALLOCATED},
        (s.ALLOCATED, e.PLANE_DOWN): {s.ALLOCATED},
        (s.ALLOCATED, e.UNPLUGGED): {s.ALLOCATED},
        (s.ALLOCATED, e.PLANE_REFUSED): {s.ALLOCATED},
        (s.ALLOCATED, e.DEADLINE): {s.ALLOCATED},
        (s.ALLOCATED, e.HOST_UNKNOWN): {s.ALLOCATED},
        (s.ALLOCATED, e.HOST_BACK): {s.ALLOCATED},
        (s.ALLOCATED, e.ADMIN_DOWN): {s.ALLOCATED},
        (s.ALLOCATED, e.ADMIN_UP): {s.ALLOCATED},
        (s.RELEASING, e.WITHDRAWN): {s.RELEASING},
        (s.RELEASING, e.HOST_FENCED): {s.RELEASING},
        (s.RELEASING, e.HOST_UNKNOWN): {s.RELEASING},
        (s.RELEASING, e.RESTED): {s.RELEASING},
    }
    for state in (*bound, s.ALLOCATED):
        table[state, e.DELETE] = {s.RELEASING}
        table[state, e.PREPARE] = {state}
    for state in bound:
        stays = {state}
        table |= {
            (state, e.BIND): {*stays, *pending, s.ACTIVE, s.ERROR, s.DEGRADED},
            (state, e.REBIND): {*pending, s.ACTIVE, s.ERROR, s.DEGRADED},
            (state, e.ACTIVATE): {*pending, s.ACTIVE, s.ERROR, s.DEGRADED},
            (state, e.UNBIND): {*stays, s.ALLOCATED},
            # Nova's view of an ACTIVE port stays as it is: addresses that go are no matter of its.
            (state, e.READDRESS): stays,
            (state, e.DEVICE_SEEN): stays,
            (state, e.PLANE_UP): {*stays, *pending, s.ACTIVE, s.DEGRADED},
            (state, e.PLANE_DOWN): {*stays, s.DEGRADED},
            (state, e.UNPLUGGED): {*stays, s.DEGRADED},
            (state, e.PLANE_REFUSED): {*stays, s.ERROR},
            (state, e.DEADLINE): {*stays, s.ERROR},
            (state, e.ADMIN_DOWN): {*stays, s.DEGRADED},
            (state, e.ADMIN_UP): {*stays, *pending, s.ACTIVE},
            (state, e.HOST_UNKNOWN): stays,
            (state, e.HOST_FENCED): {*stays, s.WIRING, s.DEGRADED},
            (state, e.HOST_BACK): {*stays, *pending, s.DEGRADED, s.ACTIVE},
            # An older binding is gone: MOVING becomes WIRING, or the active one is up by now.
            # The active one's wiring vanished unasked: it is pending again.
            (state, e.WITHDRAWN): {*stays, *pending, s.ACTIVE, s.DEGRADED},
        }
    return {key: frozenset(states) for key, states in table.items()}


BINDING: Mapping[tuple[BindingState, Event], BindingState] = _binding_table()
ATTACHMENT: Mapping[tuple[AttachmentState, Event], AttachmentState] = _attachment_table()
PORT: Mapping[tuple[PortState, Event], frozenset[PortState]] = _port_table()
