"""The spine-leaf part of a lab: who speaks BGP, and which host hangs on which leaves. Pure.

leaf1 and leaf2 are a pair, leaf3 and leaf4 the next …; hosts are spread evenly over the pairs,
in their order, and each has a NIC to both leaves of its pair.
"""

from ipaddress import ip_network
from typing import Literal

from msgspec import Struct

from netwright.lab.spec import Fabric, Spec

SpeakerKind = Literal["spine", "leaf", "border"]


class Speaker(Struct, frozen=True):
    """A switch of the fabric. `loopback` is without prefix length; a leaf's is its VTEP.

    `zone` is where it stands; "" where the description knows none.
    """

    node: str
    kind: SpeakerKind
    asn: int
    loopback: str
    zone: str = ""


def speakers(spec: Spec) -> tuple[Speaker, ...]:
    """Spines, then leaves, then borders; none in a lab without a fabric."""
    fabric = spec.fabric
    if fabric is None:
        return ()
    leaves = leaf_names(spec)
    names: list[tuple[str, SpeakerKind]] = [
        *((spine, "spine") for spine in spine_names(fabric)),
        *((leaf, "leaf") for leaf in leaves),
        *((border, "border") for border in fabric.borders),
    ]
    own_asn = {name: fabric.leaf_asn + i for i, name in enumerate([*leaves, *fabric.borders])}
    subnet = ip_network(fabric.loopbacks)
    first = int(subnet.network_address)
    return tuple(
        Speaker(
            node=name,
            kind=kind,
            asn=own_asn.get(name, fabric.asn),
            loopback=str(type(subnet.network_address)(first + number)),
            zone=_zone(fabric, leaves.index(name) // 2) if kind == "leaf" else "",
        )
        for number, (name, kind) in enumerate(names, start=1)
    )


def spine_names(fabric: Fabric) -> list[str]:
    return [f"spine{number}" for number in range(1, fabric.spines + 1)]


def leaf_names(spec: Spec) -> list[str]:
    return [f"leaf{number}" for number in range(1, 2 * _pairs(spec) + 1)]


def leaves_of_host(spec: Spec, number: int) -> tuple[str, str]:
    """The pair of leaves of host NUMBER (from 1 on)."""
    pair = (number - 1) * _pairs(spec) // spec.hosts.count
    return f"leaf{2 * pair + 1}", f"leaf{2 * pair + 2}"


def _zone(fabric: Fabric, pair: int) -> str:
    return fabric.zones[pair % len(fabric.zones)] if fabric.zones else ""


def _pairs(spec: Spec) -> int:
    assert spec.fabric is not None, "only a fabric has leaves"
    needed = -(-spec.hosts.count // spec.fabric.hosts_per_pair)
    return max(spec.fabric.leaf_pairs, needed)
