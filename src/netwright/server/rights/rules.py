"""The rules, their defaults, and what callers of some roles may by them.

    an action     create_network, get_port, add_router_interface, update_quota …
    an attribute  create_network:shared, get_port:binding:host_id, create_port:mac_address …

Names and defaults are Neutron's. Admins (`context_is_admin`) may everything, whatever rules say.
Whose a resource is, is held against all others besides, whatever a rule says, but for services
(`service_api`): an action that a rule allows them by their role alone, without
`project_id:%(project_id)s`, may be about any project's resources.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from netwright.server.commands import MEMBERS, Rights
from netwright.server.rights.expressions import NoExpression, Parsed, Supposed, evaluate, parse

CONTEXT_IS_ADMIN = "context_is_admin"
SERVICE_API = "service_api"
BASES: Mapping[str, str] = {
    CONTEXT_IS_ADMIN: "role:admin",
    "admin_only": "rule:context_is_admin",
    SERVICE_API: "role:service",
    "owner": "project_id:%(project_id)s",
    "network_owner": "project_id:%(network:project_id)s",
    "admin_or_owner": "rule:context_is_admin or rule:owner",
    "admin_or_network_owner": "rule:context_is_admin or rule:network_owner",
}
"""Rules that others refer to; they guard nothing themselves."""

READER = "role:reader and rule:owner"
MEMBER = "role:member and rule:owner"
ADMIN = "rule:admin_only"
SERVICE = "rule:service_api"
NETWORK_OWNER = "rule:admin_or_network_owner"


def either(*expressions: str) -> str:
    return " or ".join(f"({each})" for each in expressions)


class Granted(NamedTuple):
    """What a caller may by its roles."""

    is_admin: bool
    rights: Rights


class InvalidRule(ValueError):
    """A rule that is given is none; `name` says which, the text why."""

    def __init__(self, name: str, why: str) -> None:
        super().__init__(why)
        self.name = name


class Rules:
    """The defaults of actions and attributes, with others given instead of some.

    Raises InvalidRule for one that is not known, is no expression, or refers to itself.
    """

    def __init__(
        self,
        actions: Mapping[str, str],
        attributes: Mapping[str, str],
        given: Mapping[str, str] | None = None,
    ) -> None:
        self._actions = actions
        self._attributes = attributes
        self._ordinary = _parsed({**BASES, **actions, **attributes})
        self._rules = {**self._ordinary, **_given(self._ordinary, given or {})}
        self._known: dict[frozenset[str], Granted] = {}

    def granted(self, roles: Iterable[str]) -> Granted:
        """What callers with these roles may; the same value for the same roles."""
        names = frozenset(role.lower() for role in roles)
        found = self._known.get(names)
        if found is None:
            found = self._granted(names)
            if len(self._known) < _ROLE_SETS_MAX:
                self._known[names] = found
        return found

    def _granted(self, roles: frozenset[str]) -> Granted:
        anywhere = Supposed(roles, owns=False, owns_network=False)
        if evaluate(self._rules, CONTEXT_IS_ADMIN, anywhere):
            return Granted(is_admin=True, rights=MEMBERS)
        is_service = evaluate(self._rules, SERVICE_API, anywhere)
        names = (*self._actions, *self._attributes)
        has, had = self._held(self._rules, roles), self._held(self._ordinary, _MEMBER)
        rights = Rights(
            granted=frozenset(name for name in names if has[name] > had[name]),
            denied=frozenset(name for name in names if has[name] < had[name]),
            everywhere=frozenset(
                name for name in self._actions if is_service and self._holds(name, anywhere)
            ),
        )
        return Granted(is_admin=False, rights=MEMBERS if rights == MEMBERS else rights)

    def _holds(self, name: str, supposed: Supposed) -> bool:
        return evaluate(self._rules, name, supposed)

    def _held(self, rules: Mapping[str, Parsed], roles: frozenset[str]) -> dict[str, int]:
        """For each action and attribute: 2 for one's own, 1 for one's own in one's own network."""
        own = Supposed(roles, owns=True, owns_network=False)
        both = Supposed(roles, owns=True, owns_network=True)
        return {
            name: 2 if evaluate(rules, name, own) else int(evaluate(rules, name, both))
            for name in (*self._actions, *self._attributes)
        }


_MEMBER = frozenset({"member", "reader"})
_ROLE_SETS_MAX = 1000


def _parsed(texts: Mapping[str, str]) -> dict[str, Parsed]:
    found = {}
    for name, text in texts.items():
        try:
            found[name] = parse(text)
        except NoExpression as error:
            raise InvalidRule(name, f"{text!r}: {error}") from None
    return found


def _given(known: Mapping[str, Parsed], given: Mapping[str, str]) -> dict[str, Parsed]:
    for name in given:
        if name not in known:
            raise InvalidRule(name, "there is no such rule")
    found = _parsed(given)
    everything = {**known, **found}
    for name, rule in found.items():
        for other in sorted(rule.rules):
            if other not in everything:
                raise InvalidRule(name, f"it refers to rule:{other}, which there is not")
        if _reaches(everything, name, rule.rules):
            raise InvalidRule(name, "it refers to itself")
    return found


def _reaches(rules: Mapping[str, Parsed], wanted: str, start: frozenset[str]) -> bool:
    """Whether the rule is among those that these refer to, however far."""
    seen: set[str] = set()
    left = list(start)
    while left:
        name = left.pop()
        if name == wanted:
            return True
        if name not in seen:
            seen.add(name)
            left.extend(rules[name].rules)
    return False
