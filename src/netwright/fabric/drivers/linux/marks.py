"""Our mark on interfaces: an alias that begins with `netwright`, and says what the thing is for.

bridge of a VNI          netwright vni=5001 network=UUID vlan=1001
its vxlan                netwright vni=5001
ends of a VLAN's veth    netwright port=swp1 vlan=1001      (0: untagged)
loopback of a VRF        netwright router=UUID
transit VNI's devices    netwright l3vni=9001
gateway's veth           netwright gateway=KEY port=core1 vlan=101 physical=physnet1 network=UUID
                         nat=1: its VRF has a table of nftables for it (`frr.nft`)
who may write            netwright          (the bridge `netwright`; see `tokens`)
"""

from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType

MARK = "netwright"
TOKEN_LINK = "netwright"  # noqa: S105 (an interface's name)


def write(**values: object) -> str:
    """None is left out."""
    words = [f"{key}={value}" for key, value in values.items() if value is not None]
    return " ".join([MARK, *words])


@lru_cache(maxsize=1 << 16)  # asked for every link again and again; a switch has a few thousand
def read(alias: str) -> Mapping[str, str] | None:
    """None: not ours."""
    mark, *words = alias.split(" ")
    if mark != MARK:
        return None
    pairs = (word.partition("=") for word in words)
    return MappingProxyType({key: value for key, _, value in pairs})


def read_number(values: Mapping[str, str] | None, key: str) -> int | None:
    """None: not ours, without it, or written by somebody else's hand."""
    text = (values or {}).get(key, "")
    return int(text) if text.isdecimal() else None
