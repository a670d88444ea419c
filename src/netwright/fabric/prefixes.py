"""Prefixes that must not overlap, and who has each. Pure."""

from bisect import bisect_right
from functools import lru_cache
from ipaddress import ip_network


class Prefixes:
    """Claims of prefixes: the first to claim has it."""

    def __init__(self) -> None:
        self._starts: dict[int, list[int]] = {4: [], 6: []}
        self._claims: dict[int, list[tuple[int, str]]] = {4: [], 6: []}

    def claim(self, cidr: str, owner: str) -> str | None:
        """Claim it; the owner of what it overlaps when another has that, and nothing is claimed."""
        version, start, end = span(cidr)
        starts, claims = self._starts[version], self._claims[version]
        at = bisect_right(starts, start)
        if at and claims[at - 1][0] >= start:
            return claims[at - 1][1]
        if at < len(starts) and starts[at] <= end:
            return claims[at][1]
        starts.insert(at, start)
        claims.insert(at, (end, owner))
        return None


@lru_cache(maxsize=65536)
def span(cidr: str) -> tuple[int, int, int]:
    """IP version, first and last address as numbers."""
    network = ip_network(cidr, strict=False)
    return network.version, int(network.network_address), int(network.broadcast_address)


def contains(cidr: str, address: str) -> bool:
    version, first, last = span(cidr)
    its_version, number, _ = span(address)
    return version == its_version and first <= number <= last


def with_length(address: str, cidr: str) -> str:
    """`10.8.0.1` of `10.8.0.0/24`: `10.8.0.1/24`."""
    return f"{address}/{cidr.rpartition('/')[2]}"
