"""Labels and their selectors, in Kubernetes' syntax.

    environment=production, tier in (frontend, backend), !legacy

Requirements are separated by commas, and all must hold (Kubernetes, Labels and Selectors; API
conventions of `metav1.LabelSelector`): `key`, `!key`, `key=value` (`==`), `key!=value`,
`key in (…)`, `key notin (…)`. As there, `!=` and `notin` hold for what has no such key.
"""

import re
from collections.abc import Mapping
from enum import StrEnum
from functools import lru_cache
from typing import NamedTuple

LABELS_MAX = 64
SELECTOR_CHARACTERS_MAX = 4096

_NAME = r"[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?"
_DOMAIN = r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?)*"
_KEY = re.compile(rf"(?:(?P<domain>{_DOMAIN})/)?{_NAME}")
_VALUE = re.compile(rf"(?:{_NAME})?")
_DOMAIN_CHARACTERS_MAX = 253
_TOKEN = re.compile(r"\s*(?:(==|!=|[=!,()<>])|([^\s=!,()<>]+)|(\s*$))")


class Operator(StrEnum):
    EXISTS = "exists"
    MISSING = "!"
    IN = "in"
    NOT_IN = "notin"


class Requirement(NamedTuple):
    """What a selector says of one key; `values` are sorted, of IN and NOT_IN only."""

    key: str
    operator: Operator
    values: tuple[str, ...] = ()

    def holds(self, labels: Mapping[str, str]) -> bool:
        match self.operator:
            case Operator.EXISTS:
                return self.key in labels
            case Operator.MISSING:
                return self.key not in labels
            case Operator.IN:
                return labels.get(self.key) in self.values
            case Operator.NOT_IN:
                return labels.get(self.key) not in self.values

    @property
    def is_positive(self) -> bool:
        """Whether only what has the key can match."""
        return self.operator in {Operator.EXISTS, Operator.IN}

    def __str__(self) -> str:
        match self.operator:
            case Operator.EXISTS:
                return self.key
            case Operator.MISSING:
                return f"!{self.key}"
        if len(self.values) == 1:
            sign = "=" if self.operator is Operator.IN else "!="
            return f"{self.key}{sign}{self.values[0]}"
        return f"{self.key} {self.operator} ({','.join(self.values)})"


class Selector(NamedTuple):
    """Requirements that must all hold."""

    requirements: tuple[Requirement, ...]

    def matches(self, labels: Mapping[str, str]) -> bool:
        return all(requirement.holds(labels) for requirement in self.requirements)

    def __str__(self) -> str:
        return ",".join(map(str, self.requirements))


def check_labels(labels: Mapping[str, str]) -> None:
    """Raises ValueError, with the reason, when these cannot be something's labels."""
    if len(labels) > LABELS_MAX:
        raise ValueError(f"{len(labels)} labels are more than {LABELS_MAX}")
    for key, value in labels.items():
        _check_key(key)
        _check_value(key, value)


@lru_cache(maxsize=4096)
def parse_selector(text: str) -> Selector:
    """The selector that a text writes. Raises ValueError with what is wrong, and where."""
    if len(text) > SELECTOR_CHARACTERS_MAX:
        raise ValueError(f"it is longer than {SELECTOR_CHARACTERS_MAX} characters")
    tokens = _Tokens(text)
    found = []
    if tokens.peek() is None:
        raise ValueError("it is empty, and would match every network; name a label")
    while True:
        found.append(_requirement(tokens))
        if tokens.peek() is None:
            return Selector(tuple(sorted(set(found))))
        tokens.expect(",")


class _Tokens:
    """A selector's signs and words, in order."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens: list[tuple[str, int]] = []
        place = 0
        while match := _TOKEN.match(text, place):
            if match[3] is not None:
                break
            self._tokens.append((match[1] or match[2], match.start(1 if match[1] else 2)))
            place = match.end()
        self._next = 0

    def peek(self) -> str | None:
        return self._tokens[self._next][0] if self._next < len(self._tokens) else None

    def take(self, wanted: str) -> str:
        """The next token, whatever it is; `wanted` says what should be there."""
        token = self.peek()
        if token is None:
            raise ValueError(f"it ends where {wanted} should follow")
        self._next += 1
        return token

    def expect(self, sign: str) -> None:
        token = self.take(f"'{sign}'")
        if token != sign:
            at = self._tokens[self._next - 1][1]
            raise ValueError(f"'{token}' at character {at + 1} stands where '{sign}' should")


def _requirement(tokens: _Tokens) -> Requirement:
    first = tokens.take("a label's key")
    if first == "!":
        return Requirement(_check_key(tokens.take("a label's key")), Operator.MISSING)
    key = _check_key(first)
    match tokens.peek():
        case None | ",":
            return Requirement(key, Operator.EXISTS)
        case "=" | "==" | "!=" as sign:
            tokens.take("a sign")
            operator = Operator.NOT_IN if sign == "!=" else Operator.IN
            value = "" if tokens.peek() in {None, ","} else tokens.take("a value")
            return Requirement(key, operator, (_check_value(key, value),))
        case "in" | "notin" as word:
            tokens.take("a word")
            return Requirement(key, Operator(word), _set(tokens, key))
        case other:
            raise ValueError(
                f"'{other}' after '{key}' is none of =, ==, !=, in, notin"
                + (" (numbers cannot be compared)" if other in {"<", ">"} else "")
            )


def _set(tokens: _Tokens, key: str) -> tuple[str, ...]:
    tokens.expect("(")
    values = {_check_value(key, tokens.take("a value"))}
    while tokens.peek() == ",":
        tokens.expect(",")
        values.add(_check_value(key, tokens.take("a value")))
    tokens.expect(")")
    return tuple(sorted(values))


def _check_key(key: str) -> str:
    match = _KEY.fullmatch(key)
    if match is None or len(match["domain"] or "") > _DOMAIN_CHARACTERS_MAX:
        raise ValueError(
            f"'{key}' is no label's key: [DOMAIN/]NAME, the name of at most 63 letters, digits, "
            "'-', '_' and '.', with a letter or digit at both ends"
        )
    return key


def _check_value(key: str, value: str) -> str:
    if _VALUE.fullmatch(value) is None:
        raise ValueError(
            f"'{value}' is no value for label '{key}': at most 63 letters, digits, '-', '_' and "
            "'.', with a letter or digit at both ends, or nothing"
        )
    return value
