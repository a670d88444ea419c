"""The changes of a switch, one value each, in an order that never leaves it half reachable. Pure.

`of(before, after)` is the difference; a driver carries it out in that order:

    routes and fenced addresses that come (drops first)
      ─▶ VRFs ─▶ segments (VLAN before VNI) ─▶ gateways ─▶ interfaces join VLANs ─▶ routes
    and backwards for what goes: an interface leaves a VLAN before its segment goes, that before
    its VRF.
"""

from enum import StrEnum

from netwright.fabric.config import Interface, Route, Segment, VlanGateway, Vrf
from netwright.model.resources import Value


class Verb(StrEnum):
    ADD = "add"
    REPLACE = "replace"
    REMOVE = "remove"


class Change(Value, frozen=True, kw_only=True):
    """An element of a switch: what it was (None: not there), and what it becomes (None: goes)."""

    verb: Verb
    before: Vrf | Segment | Interface | VlanGateway | Route | None = None
    after: Vrf | Segment | Interface | VlanGateway | Route | None = None
