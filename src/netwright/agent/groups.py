"""What is known of security groups, and what the host's ports need of it. Pure.

A port needs its groups' rules, and the members of the remote groups that these name. Before all
that has come, nothing of the port is changed: a filter that is half known would let too little
through, and what stands is as good as it was.
"""

from collections.abc import Iterable, Mapping

from netwright.agent.members import NO_MEMBERSHIPS, Memberships
from netwright.model.resources import Port, Value
from netwright.model.security import Direction, SecurityGroup, SecurityGroupRule


class KnownGroups(Value, frozen=True, kw_only=True):
    """Groups by id, as they were told; `synced` are those that are told of, there or not.

    `memberships` are of `members_of`: of groups that rules name. Whoever joins another group
    changes nothing here.
    """

    groups: Mapping[str, SecurityGroup] = {}
    synced: frozenset[str] = frozenset()
    members_of: frozenset[str] = frozenset()
    memberships: Memberships = NO_MEMBERSHIPS


NO_GROUPS = KnownGroups()


class PortGroups(Value, frozen=True, kw_only=True):
    """A port's groups: `groups` None when it is not filtered.

    `needed` are all groups that its filter is made of, `remote` those whose members are wanted;
    `missing` says what of them has not come.
    """

    groups: tuple[SecurityGroup, ...] | None = None
    needed: frozenset[str] = frozenset()
    remote: frozenset[str] = frozenset()
    missing: str = ""


NOT_FILTERED = PortGroups()


class Filters:
    """What ports' filters are made of. Most ports are in the same groups: those are looked at once.

    A group that is synced and not there was deleted: it lets nothing through.
    """

    def __init__(self, known: KnownGroups) -> None:
        self._known = known
        self._found: dict[tuple[str, ...], PortGroups] = {}

    def of(self, port: Port) -> PortGroups:
        if port.security_groups is None or not port.port_security_enabled:
            return NOT_FILTERED
        found = self._found.get(port.security_groups)
        if found is None:
            found = self._found[port.security_groups] = _made_of(port.security_groups, self._known)
        return found

    @property
    def needed(self) -> frozenset[str]:
        """All groups that filters of the ports asked for are made of."""
        return frozenset[str]().union(*(one.needed for one in self._found.values()))

    @property
    def remote(self) -> frozenset[str]:
        """The groups whose members are wanted for them."""
        return frozenset[str]().union(*(one.remote for one in self._found.values()))


def _made_of(named: tuple[str, ...], known: KnownGroups) -> PortGroups:
    own = frozenset(named)
    groups = tuple(known.groups[one] for one in sorted(own) if one in known.groups)
    rules = [rule for group in groups for rule in group.rules]
    unfiltered = open_ethertypes(rules)
    remote = frozenset(
        rule.remote_group_id
        for rule in rules
        if rule.remote_group_id is not None and rule.ethertype not in unfiltered
    )
    return PortGroups(
        groups=groups, needed=own | remote, remote=remote, missing=_missing(own, remote, known)
    )


def open_ethertypes(rules: Iterable[SecurityGroupRule]) -> frozenset[str]:
    """The ethertypes of which these rules allow everything, both ways: the others add nothing."""
    anything = {
        (rule.ethertype, rule.direction)
        for rule in rules
        if rule.protocol is None
        and rule.port_range_min is None
        and rule.port_range_max is None
        and rule.remote_group_id is None
        and (rule.remote_ip_prefix is None or rule.remote_ip_prefix.endswith("/0"))
    }
    return frozenset(
        ethertype
        for ethertype, _ in anything
        if {(ethertype, Direction.INGRESS), (ethertype, Direction.EGRESS)} <= anything
    )


def _missing(own: frozenset[str], remote: frozenset[str], known: KnownGroups) -> str:
    for group in sorted(own - known.synced):
        return f"security group {group} has not come from the server yet"
    for group in sorted(remote - known.members_of):
        return f"the members of security group {group} have not come from the server yet"
    return ""
