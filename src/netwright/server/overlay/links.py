"""The leaf interfaces that a binding profile names. Pure.

Ironic says them as `local_link_information`; a machine with several has a port, or a bond, over
them.
"""

from collections.abc import Mapping
from typing import Any

from netwright.model.resources import AccessPort

LINKS = "local_link_information"


def access_of(profile: Mapping[str, Any]) -> tuple[AccessPort, ...] | str:
    """The interfaces that a binding profile names, or what is wrong with it in words."""
    given = profile.get(LINKS)
    if not isinstance(given, list | tuple) or not given:
        return (
            f"binding:profile has no {LINKS}: give it as "
            '[{"switch_info": LEAF, "port_id": INTERFACE}]'
        )
    found = []
    for index, each in enumerate(given):
        switch = each.get("switch_info") if isinstance(each, Mapping) else None
        interface = each.get("port_id") if isinstance(each, Mapping) else None
        if not (isinstance(switch, str) and switch and isinstance(interface, str) and interface):
            return (
                f"{LINKS}[{index}] of binding:profile names no leaf and interface: give it "
                "switch_info, the leaf's name in the inventory, and port_id, its interface"
            )
        found.append(AccessPort(switch=switch, interface=interface))
    return tuple(dict.fromkeys(found))


def named_by(profile: Mapping[str, Any]) -> tuple[AccessPort, ...]:
    """The interfaces that a profile names; none when it does so wrongly."""
    found = access_of(profile)
    return () if isinstance(found, str) else found
