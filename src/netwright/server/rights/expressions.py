"""Policy's expressions, as OpenStack writes them: parsed once, evaluated for a set of roles.

    role:NAME     the caller has this role
    rule:NAME     what another rule says
    project_id:%(project_id)s           the resource is the caller's project's
    project_id:%(network:project_id)s   so is the network that it is in
    @ or nothing: always; !: never; not, and, or (which binds least), parentheses

Whose a resource is, is decided where it is known; here it is supposed (`Supposed`).
"""

import re
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from typing import NamedTuple, TypeAlias

_TOKEN = re.compile(r"\s*(?:([()@!])|([A-Za-z_]+:(?:%\([\w:]+\)s|[^\s()]+)|[A-Za-z_]+))")
_OWNS = frozenset({"project_id:%(project_id)s", "tenant_id:%(tenant_id)s"})
_OWNS_NETWORK = frozenset({"project_id:%(network:project_id)s", "tenant_id:%(network:tenant_id)s"})
_KNOWN = "role:NAME, rule:NAME, project_id:%(project_id)s, project_id:%(network:project_id)s, @, !"


class Supposed(NamedTuple):
    """Who asks, and about what."""

    roles: AbstractSet[str]
    owns: bool
    owns_network: bool


Look: TypeAlias = Callable[[str], "Expression"]
Expression: TypeAlias = Callable[[Supposed, Look], bool]


class NoExpression(ValueError):
    """The text is none; says why."""


class Parsed(NamedTuple):
    """An expression, and the rules that it refers to."""

    holds: Expression
    rules: frozenset[str]


def parse(text: str) -> Parsed:
    """Raises NoExpression."""
    parser = _Parser(_tokens(text))
    if not parser.rest:
        return Parsed(_always, frozenset())
    holds = parser.alternatives()
    if parser.rest:
        raise NoExpression(f"{parser.rest[0]!r} is one too many")
    return Parsed(holds, frozenset(parser.rules))


def evaluate(rules: Mapping[str, Parsed], name: str, supposed: Supposed) -> bool:
    def look(other: str) -> Expression:
        return rules[other].holds

    return rules[name].holds(supposed, look)


class _Parser:
    def __init__(self, tokens: list[str]) -> None:
        self.rest = tokens
        self.rules: set[str] = set()

    def alternatives(self) -> Expression:
        found = [self._conjunction()]
        while self._took("or"):
            found.append(self._conjunction())
        return found[0] if len(found) == 1 else _any(found)

    def _conjunction(self) -> Expression:
        found = [self._one()]
        while self._took("and"):
            found.append(self._one())
        return found[0] if len(found) == 1 else _all(found)

    def _one(self) -> Expression:
        if not self.rest:
            raise NoExpression("it ends where something should follow")
        word = self.rest.pop(0)
        if word.lower() == "not":
            return _not(self._one())
        if word == "(":
            inner = self.alternatives()
            if not self._took(")"):
                raise NoExpression("a parenthesis is not closed")
            return inner
        return self._atom(word)

    def _atom(self, word: str) -> Expression:
        kind, _, name = word.partition(":")
        if word == "@":
            return _always
        if word == "!":
            return _never
        if word in _OWNS:
            return _owns
        if word in _OWNS_NETWORK:
            return _owns_network
        if kind == "role" and name:
            return _role(name)
        if kind == "rule" and name:
            self.rules.add(name)
            return _rule(name)
        raise NoExpression(f"{word!r} is not known here; known are {_KNOWN}, and, or, not, (, )")

    def _took(self, word: str) -> bool:
        if self.rest and self.rest[0].lower() == word:
            del self.rest[0]
            return True
        return False


def _tokens(text: str) -> list[str]:
    found, at = [], 0
    text = text.strip()
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise NoExpression(f"{text[at:].strip()!r} is no expression")
        found.append(match[1] or match[2])
        at = match.end()
    return found


def _always(_supposed: Supposed, _look: Look) -> bool:
    return True


def _never(_supposed: Supposed, _look: Look) -> bool:
    return False


def _owns(supposed: Supposed, _look: Look) -> bool:
    return supposed.owns


def _owns_network(supposed: Supposed, _look: Look) -> bool:
    return supposed.owns_network


def _role(name: str) -> Expression:
    wanted = name.lower()  # keystone's names of roles differ by more than case
    return lambda supposed, _look: wanted in supposed.roles


def _rule(name: str) -> Expression:
    return lambda supposed, look: look(name)(supposed, look)


def _not(inner: Expression) -> Expression:
    return lambda supposed, look: not inner(supposed, look)


def _any(parts: list[Expression]) -> Expression:
    return lambda supposed, look: any(part(supposed, look) for part in parts)


def _all(parts: list[Expression]) -> Expression:
    return lambda supposed, look: all(part(supposed, look) for part in parts)
