"""What follows from all endpoints together, made once for the same endpoints. Pure."""

import msgspec

from netwright.agent.ovs.firewall import conj_id, is_filtered
from netwright.agent.ovs.guarding import Shared, is_guarded, shared_targets
from netwright.agent.ovs.wiring import AddressSet, Endpoint


class Together(msgspec.Struct, frozen=True):
    """The remote groups that filters name, targets that several endpoints claim.

    `ambiguous` are groups that a conjunction cannot tell from another one here (some 10⁻⁶ with a
    hundred groups): rules that name them would let the other's members through. `users` are the
    ports whose filters name a remote group.
    """

    sets: frozenset[AddressSet] = frozenset()
    shared: Shared = Shared()
    ambiguous: frozenset[str] = frozenset()
    users: frozenset[str] = frozenset()

    def refusal(self, endpoint: Endpoint) -> str:
        """Why an endpoint cannot be filtered; "" when it can."""
        if not self.ambiguous or endpoint.filter is None:
            return ""
        named = {one.group for one in endpoint.filter.address_sets} & self.ambiguous
        if not named:
            return ""
        return f"remote group {min(named)} and another one here have the same conjunction"


def together(endpoints: tuple[Endpoint, ...]) -> Together:
    """What holds for these endpoints as a whole."""
    sets: set[AddressSet] = set()
    users: set[str] = set()
    guarded = [one for one in endpoints if is_guarded(one)]
    if not guarded:
        return Together()
    for one in guarded:
        if is_filtered(one) and one.filter is not None and (named := one.filter.address_sets):
            users.add(one.port_id)
            sets |= named
    return Together(frozenset(sets), shared_targets(guarded), _ambiguous(sets), frozenset(users))


def _ambiguous(sets: set[AddressSet]) -> frozenset[str]:
    holders: dict[int, set[str]] = {}
    for one in sets:
        holders.setdefault(conj_id(one.group, stateful=False), set()).add(one.group)
    return frozenset(
        group for groups in holders.values() if len(groups) > 1 for group in sorted(groups)[1:]
    )
