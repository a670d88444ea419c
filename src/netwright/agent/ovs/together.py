"""What follows from all endpoints together, made once for the same endpoints. Pure."""

from collections.abc import Mapping

import msgspec

from netwright.agent.ovs.firewall import conj_id, is_filtered
from netwright.agent.ovs.guarding import Claims, Shared, is_guarded
from netwright.agent.ovs.wiring import AddressSet, Endpoint


class Together(msgspec.Struct, frozen=True):
    """The remote groups that filters name, targets that several endpoints claim.

    `endpoints` are all, by port id, and `inside` the subports among them. `ambiguous` are groups
    that a conjunction cannot tell from another one here (some 10⁻⁶ with a hundred groups): rules
    that name them would let the other's members through. `users` are the ports whose filters name
    a remote group.
    """

    endpoints: Mapping[str, Endpoint] = {}
    inside: Mapping[str, Endpoint] = {}
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


class Gathering:
    """Says what holds for endpoints as a whole; what they claim is remembered (`Claims`)."""

    def __init__(self) -> None:
        self._claims = Claims()

    def of(self, endpoints: tuple[Endpoint, ...]) -> Together:
        sets: set[AddressSet] = set()
        users: set[str] = set()
        restrained = (one for one in endpoints if not (one.filter is None and one.qos is None))
        guarded = [one for one in restrained if is_guarded(one)]
        for one in guarded:
            if is_filtered(one) and one.filter is not None and (named := one.filter.address_sets):
                users.add(one.port_id)
                sets |= named
        return Together(
            endpoints={one.port_id: one for one in endpoints},
            inside={one.port_id: one for one in endpoints if one.inside is not None},
            sets=frozenset(sets),
            shared=self._claims.shared(guarded),
            ambiguous=_ambiguous(sets),
            users=frozenset(users),
        )


def _ambiguous(sets: set[AddressSet]) -> frozenset[str]:
    holders: dict[int, set[str]] = {}
    for one in sets:
        holders.setdefault(conj_id(one.group, stateful=False), set()).add(one.group)
    return frozenset(
        group for groups in holders.values() if len(groups) > 1 for group in sorted(groups)[1:]
    )
