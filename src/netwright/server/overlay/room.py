"""Whether leaves have room for a port's MAC and addresses, by the last count. Pure.

counted now and then ─▶ Room ─fork─▶ a batch's: refuses, takes ─▶ once committed, the process's

A leaf that has a network learns all its ports, wherever they are, and one that gets it all at once.
A hint (ADR 30): what other processes bound since the count is not in it, nor what has gone.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from netwright.model.topology import Capacities


class Counts(NamedTuple):
    """What ports bring to a leaf."""

    macs: int = 0
    arp_entries: int = 0

    def plus(self, more: "Counts") -> "Counts":
        return Counts(self.macs + more.macs, self.arp_entries + more.arp_entries)


NONE = Counts()


@dataclass(slots=True)
class Room:
    """`limits` are those of the leaves that say any, `used` what they have of it.

    `on`: network → the leaves, of these, that have it; `networks`: what its ports bring.
    """

    limits: Mapping[str, Capacities]
    used: dict[str, Counts]
    on: dict[str, frozenset[str]]
    networks: dict[str, Counts]
    base: "Room | None" = None
    """What it was forked from."""

    def fork(self) -> "Room":
        return Room(self.limits, {**self.used}, {**self.on}, {**self.networks}, self)

    def refusal(self, network_id: str, ends: Mapping[str, str], more: Counts) -> str:
        """Why a leaf cannot hold a port more, or the whole network; "" when all can.

        `ends` are the interfaces that the port is to hang on, by their leaf.
        """
        has = self.on.get(network_id, frozenset())
        for leaf in sorted(has.union(ends) & self.limits.keys()):
            brings = more if leaf in has else self.networks.get(network_id, NONE).plus(more)
            limits, used = self.limits[leaf], self.used[leaf]
            for words, key in (("MACs", "macs"), ("ARP entries", "arp_entries")):
                limit, is_, comes = (getattr(one, key) for one in (limits, used, brings))
                if limit is not None and comes and is_ + comes > limit:
                    where = f" on interface {ends[leaf]}" if leaf in ends else ""
                    return (
                        f"leaf {leaf} has room for {limit} {words} (capacities.{key} in the "
                        f"inventory) and has {is_}, and network {network_id}{where} would bring "
                        f"{comes} more: unbind what is not needed in the leaf's networks, or "
                        "correct its capacities"
                    )
        return ""

    def take(self, network_id: str, leaves: Iterable[str], more: Counts) -> None:
        """The port is bound there."""
        has = self.on.get(network_id, frozenset())
        whole = self.networks.get(network_id, NONE)
        new = self.limits.keys() & set(leaves) - has
        for leaf in new:
            self.used[leaf] = self.used[leaf].plus(whole)
        self.on[network_id] = has | new
        for leaf in self.on[network_id]:
            self.used[leaf] = self.used[leaf].plus(more)
        self.networks[network_id] = whole.plus(more)
