"""Local VLANs: which VLAN id stands for which segment inside this host's br-int. Pure.

They are nowhere but in OVS itself, so a restarted agent finds them again: first in the tags of
ports marked with their segment, else in our translation flows.
"""

import functools
from collections.abc import Iterable, Mapping

import msgspec

from netwright.agent.ovs.changes import DEAD, DEAD_VLAN, SEGMENT_MARK
from netwright.agent.ovs.flows import Flow, SetVlan
from netwright.agent.ovs.pipeline import segment_cookie
from netwright.agent.ovs.rows import PortRow
from netwright.agent.ovs.wiring import VLAN_MAX, VLAN_MIN, NetworkSegment


class Tags(msgspec.Struct, frozen=True):
    """What the ports of a bridge hold: segment text → VLAN, and all their tags."""

    ports: tuple[PortRow, ...] = ()
    held: Mapping[str, int] = {}
    used: frozenset[int | None] = frozenset()


def tags_of(ports: tuple[PortRow, ...]) -> Tags:
    return Tags(ports, _held(ports), frozenset({port.tag for port in ports}))


def local_vlans(
    segments: Iterable[NetworkSegment], tags: Tags, flows: Iterable[tuple[int, frozenset[Flow]]]
) -> Mapping[NetworkSegment, int]:
    """Give each segment its local VLAN: the one it has, else the lowest free one.

    A VLAN that any port or flow of the bridge still uses for something else is not free, also
    when this very plan withdraws it: its translation may outlive its tag by a moment. A segment
    without an entry found none free. Of `flows`, by cookie, those of wired ports may be left out:
    they name no VLAN.
    """
    wanted = {str(segment): segment for segment in sorted(segments, key=str)}
    held = tags.held
    translations = {cookie: _translation(group) for cookie, group in flows}
    used = tags.used.union(translations.values())
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


def _held(ports: Iterable[PortRow]) -> dict[str, int]:
    """Each VLAN and each segment counts once: the first port by name wins."""
    held: dict[str, int] = {}
    for port in ports:
        text, tag = port.external_ids.get(SEGMENT_MARK, DEAD), port.tag
        if text in held or text == DEAD or tag is None or tag in (0, DEAD_VLAN):
            continue
        if tag not in held.values():
            held[text] = tag
    return held


@functools.lru_cache(maxsize=8192)
def _translation(flows: frozenset[Flow]) -> int | None:
    for flow in flows:
        for action in flow.actions:
            if isinstance(action, SetVlan):
                return action.vlan
    return None
