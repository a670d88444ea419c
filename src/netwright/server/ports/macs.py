"""Which MAC a port gets."""

from functools import lru_cache
from hashlib import blake2s

from netwright.ipam.resting import FormerMac
from netwright.model.errors import MacAddressGenerationFailure, MacAddressInUse
from netwright.model.resources import Network
from netwright.server.world import World

MAC_PREFIX = "fa:16:3e"
"""OpenStack's default base_mac: locally administered, and what its tools expect."""

MAC_ATTEMPTS = 10
"""Beside a million ports of one network the first is taken for one in sixteen; of three, all were
for one in 4,000."""


class NeedsMacs(Exception):
    """The first choice is not free, and whether the others are was not loaded: load these, go on.

    `keys` are (network, MAC).
    """

    def __init__(self, keys: tuple[tuple[str, str], ...]) -> None:
        super().__init__(f"the holders of {len(keys)} more MACs are needed")
        self.keys = keys


@lru_cache(maxsize=1024)  # a batch asks twice: what to load, and what to choose
def first_candidate(port_id: str) -> str:
    """The MAC that a port gets if it is free, as it mostly is."""
    return _candidate(_digest(port_id), 0)


def mac_candidates(port_id: str) -> tuple[str, ...]:
    """The MACs that a port may get, first choice first: of its id, so that no dice are thrown."""
    digest = _digest(port_id)
    return tuple(_candidate(digest, n) for n in range(MAC_ATTEMPTS))


def _digest(port_id: str) -> str:
    return blake2s(port_id.encode(), digest_size=3 * MAC_ATTEMPTS).hexdigest()


def _candidate(digest: str, n: int) -> str:
    own = digest[6 * n : 6 * n + 6]
    return f"{MAC_PREFIX}:{own[:2]}:{own[2:4]}:{own[4:]}"


def choose_mac(
    world: World, network: Network, port_id: str, project_id: str, wanted: str | None
) -> str:
    """The MAC asked for, or the first candidate that no port of the network has or had lately.

    Raises MacAddressInUse, MacAddressGenerationFailure, NeedsMacs.
    """
    if wanted is None:
        free = _free_candidate(world, network, port_id)
        world.macs.put((network.id, free), port_id)
        return free
    key = (network.id, wanted)
    holder = world.macs.get(key)
    if holder is not None and holder != port_id:
        raise MacAddressInUse(
            f"Unable to complete operation for network {network.id}. The mac address {wanted} "
            f"is in use by port {holder}.",
            next="choose another mac_address, or none to have one made",
        )
    former = world.former_macs.get(key)
    if former is not None:
        _check_former(world, former, port_id, project_id)
        world.former_macs.put(key, None)
    world.macs.put(key, port_id)
    return wanted


def is_free(world: World, network_id: str, mac: str) -> bool:
    """Whether no port of the network has this MAC, or had it lately, as far as is loaded."""
    key = (network_id, mac)
    return world.macs.get(key) is None and world.former_macs.get(key) is None


def rests(world: World, network_id: str, mac: str | None) -> bool:
    """Whether the MAC rests: who may take it before the end must let it rest again."""
    former = world.former_macs.get((network_id, mac)) if mac is not None else None
    return former is not None and (former.rests_until or 0.0) > world.now


def _free_candidate(world: World, network: Network, port_id: str) -> str:
    """Mostly the first, so the others are loaded only when it is not."""
    first = first_candidate(port_id)
    if is_free(world, network.id, first):
        return first
    others = mac_candidates(port_id)[1:]
    keys = tuple((network.id, mac) for mac in others)
    if not world.more_macs.issuperset(keys):
        raise NeedsMacs(keys)
    for mac in others:
        if is_free(world, network.id, mac):
            return mac
    raise MacAddressGenerationFailure(
        f"Unable to generate unique mac on network {network.id}: the candidates for port "
        f"{port_id} are all in use.",
        next="send the request again: another port id gives other candidates",
    )


def _check_former(world: World, former: FormerMac, port_id: str, project_id: str) -> None:
    """A port may have its own again, a project one that rests; raises MacAddressInUse."""
    held_by_another = former.port_id is not None and former.port_id != port_id
    rests_for_s = (former.rests_until or 0.0) - world.now
    if not held_by_another and (former.project_id == project_id or rests_for_s <= 0):
        return
    why = (
        f"was port {former.port_id}'s, and that port's host has not shown that it is gone there"
        if held_by_another
        else f"rests for another {rests_for_s:.0f} s after its last port"
    )
    raise MacAddressInUse(
        f"Unable to complete operation for network {former.network_id}. The mac address "
        f"{former.mac_address} {why}.",
        next="wait, or choose another mac_address",
    )
