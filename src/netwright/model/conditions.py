"""Named facts about a host that never gate a port, with their causes, and whose word each is."""

from collections.abc import Mapping

FENCED = "fenced"
"""The condition that keeps a fence's reason: the operator's word."""

UPLINK_LOST = "uplink lost"
"""A host's condition: one of its uplinks has no verified path; its ports are degraded soon."""

CABLING = "cabling"
"""The condition that says where the inventory and what the host hears by LLDP contradict."""

LEAF_LINKS = "leaf links"
"""The condition that says which of its leaves' interfaces towards the host have no link."""

_NOT_THE_AGENTS = frozenset({FENCED, CABLING, LEAF_LINKS})


def agents_words(conditions: Mapping[str, str]) -> dict[str, str]:
    """The conditions that are the agent's to tell and to end."""
    return {name: why for name, why in conditions.items() if name not in _NOT_THE_AGENTS}


def servers_words(conditions: Mapping[str, str]) -> dict[str, str]:
    """Those that are others' word, and stay whatever the agent says."""
    return {name: why for name, why in conditions.items() if name in _NOT_THE_AGENTS}


def but_the_fence(conditions: Mapping[str, str]) -> dict[str, str]:
    """Those that come and go by themselves."""
    return {name: why for name, why in conditions.items() if name != FENCED}
