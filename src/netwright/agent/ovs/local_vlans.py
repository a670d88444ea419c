"""Local VLANs: which VLAN id stands for which segment inside this host's br-int. Pure.

They are nowhere but in OVS itself, so a restarted agent finds them again: first in the tags of
ports marked with their segment, else in our translation flows.
"""

import functools
from collections.abc import Iterable, Mapping

from netwright.agent.ovs.actual import Actual
from netwright.agent.ovs.changes import DEAD, DEAD_VLAN, SEGMENT_MARK
from netwright.agent.ovs.flows import Flow, SetVlan
from netwright.agent.ovs.pipeline import segment_cookie
from netwright.agent.ovs.wiring import VLAN_MAX, VLAN_MIN, NetworkSegment


def local_vlans(
    segments: Iterable[NetworkSegment], actual: Actual, bridge: str
) -> Mapping[NetworkSegment, int]:
    """Give each segment its local VLAN: the one it has, else the lowest free one.

    A VLAN that any port or flow of the bridge still uses for something else is not free, also
    when this very plan withdraws it: its translation may outlive its tag by a moment. A segment
    without an entry found none free.
    """
    wanted = {str(segment): segment for segment in sorted(segments, key=str)}
    held = _held_by_ports(actual, bridge)
    used = {port.tag for port in actual.rows.ports_of(actual.rows.bridge(bridge))}
    flows = actual.flows.get(bridge, {})
    translations = {cookie: _translation(group) for cookie, group in flows.items()}
    used.update(translations.values())
    vlans: dict[NetworkSegment, int] = {}
    for text, segment in wanted.items():
        vlan = held.get(text)
        if vlan is None:
            vlan = translations.get(segment_cookie(segment))
            if vlan in held.values():  # a port's tag is the truth where the two disagree
                vlan = None
        if vlan is not None and vlan not in vlans.values():
            vlans[segment] = vlan
    free = (vlan for vlan in range(VLAN_MIN, VLAN_MAX + 1) if vlan not in used)
    for segment in wanted.values():
        if segment not in vlans and (vlan := next(free, None)) is not None:
            vlans[segment] = vlan
    return vlans


def segment_of(mark: str) -> NetworkSegment | None:
    """Read the mark of a port that we wired; None for a dead port or an unreadable mark."""
    physical_network, _, vlan = mark.rpartition("/")
    if not physical_network:
        return None
    try:
        return NetworkSegment(physical_network, None if vlan == "flat" else int(vlan))
    except ValueError:
        return None


def _held_by_ports(actual: Actual, bridge: str) -> dict[str, int]:
    """Segment text → tag. Each VLAN and each segment counts once: the first port by name wins."""
    held: dict[str, int] = {}
    for port in actual.rows.ports_of(actual.rows.bridge(bridge)):
        text = port.external_ids.get(SEGMENT_MARK, DEAD)
        tag = port.tag
        known = text == DEAD or tag is None or tag in (0, DEAD_VLAN)
        if not known and text not in held and tag is not None and tag not in held.values():
            held[text] = tag
    return held


@functools.lru_cache(maxsize=8192)
def _translation(flows: frozenset[Flow]) -> int | None:
    for flow in flows:
        for action in flow.actions:
            if isinstance(action, SetVlan):
                return action.vlan
    return None
