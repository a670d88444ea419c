"""What is wrong with a value, in people's words: what was given, what is allowed, what is nearest.

msgspec says where a value does not fit and which rule it broke, in a programmer's words: a regular
expression, `int | null`, an enum's value without the others. The type itself knows the rest: an
enum its members, an annotated pattern what it stands for (`Meta(description=…, examples=…)`).
"""

import difflib
import re
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any, NamedTuple

import msgspec
from msgspec import inspect

_STEP = re.compile(r"\[[^\]]*\]|[^.\[]+")
_UNKNOWN = re.compile(r"Object contains unknown field `(.*)`", re.DOTALL)
_MISSING = re.compile(r"Object missing required field `(.*)`", re.DOTALL)
_ENUM = re.compile(r"Invalid enum value (.*)", re.DOTALL)
_KIND = re.compile(r"Expected `([^`]*)`, got `([^`]*)`")
_RULES = (
    (re.compile(r"Expected `\w+` >= (\S+)"), r"must be at least \1"),
    (re.compile(r"Expected `\w+` <= (\S+)"), r"must be at most \1"),
    (re.compile(r"Expected `str` of length >= 1"), "must not be empty"),
    (re.compile(r"Expected `str` of length <= (\d+)"), r"must have at most \1 characters"),
    (re.compile(r"Expected `array` of length >= 1"), "must have an item"),
    (re.compile(r"Expected `array` of length <= (\d+)"), r"must have at most \1 items"),
)
_KINDS = {
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "str": "text",
    "array": "a list",
    "object": "an object",
}
_SHOWN_LENGTH_MAX = 80


class Misfit(NamedTuple):
    """`reason` is a clause; `path` leads to the value: `ports[3].fixed_ips[0].subnet_id`.

    `unknown` is a key that should not be there, with the `nearest` that may; `missing` one that
    should be there.
    """

    reason: str
    path: str
    unknown: str = ""
    nearest: str = ""
    missing: str = ""

    def said_of(self, subject: str) -> str:
        """The reason as a clause about the subject."""
        if self.reason.startswith("it "):
            return subject + self.reason.removeprefix("it")
        return f"{subject}: {self.reason}"


def misfit(error: msgspec.ValidationError, wanted: Any, document: Any = None) -> Misfit:
    """What `error` found in a value that should have been a `wanted`.

    `document` is what was given, decoded plainly: a short text or a number in it is shown.
    """
    found, _, at = str(error).partition(" - at `")
    path = at.rstrip("`").removeprefix("$").removeprefix(".")
    types = list(_types_at(wanted, path))
    if unknown := _UNKNOWN.fullmatch(found):
        known = [
            f.encode_name for t in types if isinstance(t, inspect.StructType) for f in t.fields
        ]
        near = nearest(unknown[1], known)
        return Misfit(f"there is no {unknown[1]}{_hint(near)}", path, unknown[1], near)
    if missing := _MISSING.fullmatch(found):
        return Misfit(f"{missing[1]} is missing", path, missing=missing[1])
    rule = _rule(found, types)
    return Misfit(f"it {_given(document, path)}{rule}" if rule else found, path)


def plain(raw: bytes) -> Any:
    """A JSON document for `misfit`; None when it cannot be read as any type.

    So it is with a number out of range, or a hundred thousand brackets.
    """
    try:
        return msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def nearest(given: str, allowed: Iterable[str]) -> str:
    """What may have been meant; "" when nothing comes near."""
    return next(iter(difflib.get_close_matches(given, list(allowed), n=1)), "")


def _hint(near: str) -> str:
    return f" (nearest: {near})" if near else ""


def _given(document: Any, path: str) -> str:
    """The value there, if it is a short text or a number."""
    for step in _STEP.findall(path):
        key = int(step[1:-1]) if step[1:-1].isdecimal() else step
        try:
            document = document[key]
        except (TypeError, KeyError, IndexError):
            return ""
    is_shown = isinstance(document, str | int | float) and document != ""
    shown = f"is {document!r}, but "
    return shown if is_shown and len(shown) <= _SHOWN_LENGTH_MAX else ""


def _rule(found: str, types: Iterable[inspect.Type]) -> str:
    """What the value must be; "" for a rule that has no words here."""
    if given := _ENUM.fullmatch(found):
        for allowed in filter(None, map(_values, types)):
            near = nearest(given[1].strip("'"), allowed)
            return f"must be one of {', '.join(allowed)}{_hint(near)}"
    if kinds := _KIND.fullmatch(found):
        return f"must be {_kinds(kinds[1])}, not {_kinds(kinds[2])}"
    for type_ in types:
        said = (isinstance(type_, inspect.Metadata) and type_.extra_json_schema) or {}
        if found.startswith("Expected ") and "description" in said:
            like = "".join(f", such as {example}" for example in said.get("examples", ()))
            return f"must be {said['description']}{like}"
    for pattern, words in _RULES:
        if match := pattern.fullmatch(found):
            return match.expand(words)
    return ""


def _values(type_: inspect.Type) -> list[str]:
    """Of a type that has only some."""
    if isinstance(type_, inspect.EnumType):
        return [str(member.value) for member in type_.cls]
    return [str(value) for value in type_.values] if isinstance(type_, inspect.LiteralType) else []


def _kinds(names: str) -> str:
    return " or ".join(_KINDS.get(name, name) for name in names.split(" | "))


@cache
def _type_info(wanted: Any) -> inspect.Type:
    return inspect.type_info(wanted)


def _types_at(wanted: Any, path: str) -> Iterator[inspect.Type]:
    """The types that a value there may have, annotations before what they annotate."""
    types = list(_alternatives(_type_info(wanted)))
    for step in _STEP.findall(path):
        types = [
            alternative
            for one in types
            for inner in _inside(one, step)
            for alternative in _alternatives(inner)
        ]
    return iter(types)


def _alternatives(type_: inspect.Type) -> Iterator[inspect.Type]:
    yield type_
    if isinstance(type_, inspect.Metadata):
        yield from _alternatives(type_.type)
    elif isinstance(type_, inspect.UnionType):
        for one in type_.types:
            yield from _alternatives(one)


def _inside(type_: inspect.Type, step: str) -> Iterator[inspect.Type]:
    if isinstance(type_, inspect.StructType):
        yield from (field.type for field in type_.fields if field.encode_name == step)
    elif isinstance(type_, inspect.CollectionType):
        yield type_.item_type
    elif isinstance(type_, inspect.DictType):
        yield type_.value_type
