"""A YAML document with the line of every element: what is wrong in it is said with its place.

A value is checked by a type as anywhere else (`wording`); here the answer names the file, the line
and the element: `lab.yaml:7: switches.leaf1.asn: it must be at least 1`.
"""

import re
from collections.abc import Iterator
from typing import Any, TypeVar

import msgspec
import yaml

from netwright.model.errors import NetwrightError
from netwright.model.wording import Misfit, misfit

Path = tuple[str | int, ...]
T = TypeVar("T")

_STEP = re.compile(r"\[([^\]]*)\]|([^.\[\]]+)")
_SOME_KEY = "..."  # msgspec does not tell which key of a mapping it was at
_KEY_TAGS = ("tag:yaml.org,2002:str", "tag:yaml.org,2002:merge")


def path_of(text: str) -> Path:
    """An element as the server and msgspec write it, `links[3].upper`, as a path."""
    return tuple(
        int(inside) if inside.isdecimal() else inside or name
        for inside, name in _STEP.findall(text)
    )


def _reason(error: Exception) -> str:
    """Without the text around, which YAML's own words show: there may be secrets in it."""
    match error:
        case yaml.MarkedYAMLError(problem=problem, problem_mark=yaml.Mark(line=line)):
            return f"{problem}, in line {line + 1}"
        case yaml.reader.ReaderError(reason=reason, position=position):
            return f"{reason}, at character {position + 1}"
        case _:
            return "it is nested too deeply"


class Document:
    """A text of YAML, read once. `value` is what it says, in plain values.

    `source` is what errors call it; they are of the class `refusal`, whose fault is the caller's.
    Raises such for no YAML, an empty text, a key that stands twice or is no text.
    """

    def __init__(self, text: str, source: str, refusal: type[NetwrightError]) -> None:
        self.source = source
        self._refusal = refusal
        self._lines: dict[Path, int] = {}
        try:
            loader = yaml.SafeLoader(text)
            try:
                node = loader.get_single_node()
                if node is None:
                    raise self.error((), "the file is empty")
                self._index((), node)
                self.value: Any = loader.construct_document(node)
            finally:
                loader.dispose()
        except (yaml.YAMLError, RecursionError) as error:
            raise refusal(f"{source}: this is no YAML: {_reason(error)}") from error

    def error(self, path: Path, why: str) -> NetwrightError:
        """The error that names the element, and the nearest line that is known for it."""
        known = path
        while known and known not in self._lines:
            known = known[:-1]
        element = ".".join(str(part) for part in path) or "the file"
        return self._refusal(f"{self.source}:{self._lines.get(known, 1)}: {element}: {why}")

    def convert(self, kind: type[T], value: Any = None) -> T:
        """The document as a value of a type; `value` instead where the caller has amended it.

        Raises the refusal with the line of what does not fit.
        """
        given = self.value if value is None else value
        try:
            return msgspec.convert(given, kind)
        except msgspec.ValidationError as error:
            found = misfit(error, kind, given)
            path = _whole_path(given, kind, found)
            if found.unknown:
                near = f"; the nearest known one is {found.nearest!r}" if found.nearest else ""
                raise self.error((*path, found.unknown), f"unknown key{near}") from error
            raise self.error(path, found.reason) from error

    def _index(self, path: Path, node: yaml.Node) -> None:
        self._lines.setdefault(path, _line(node))
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                if key.tag not in _KEY_TAGS:
                    why = f"a key in line {_line(key)} is no text; write it in quotes"
                    raise self.error(path, why)
                inner = (*path, key.value)
                if inner in self._lines:
                    raise self.error(inner, f"stands twice, again in line {_line(key)}")
                self._lines[inner] = _line(key)
                self._index(inner, value)
        elif isinstance(node, yaml.SequenceNode):
            for index, value in enumerate(node.value):
                self._index((*path, index), value)


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


def _whole_path(value: Any, kind: type[Any], found: Misfit) -> Path:
    """The misfit's path with the keys of mappings, which msgspec leaves out.

    The key is found by converting the value anew with each of the mapping's items alone.
    """
    path = path_of(found.path)
    while _SOME_KEY in path:
        at = path.index(_SOME_KEY)
        key = next(_keys_that_misfit(value, kind, path[:at]), None)
        if key is None:
            return path[:at]
        value = _replaced(value, path[:at], {key: _at(value, path[:at])[key]})
        path = (*path[:at], key, *path[at + 1 :])
    return path


def _keys_that_misfit(value: Any, kind: type[Any], path: Path) -> Iterator[str]:
    mapping = _at(value, path)
    for key in mapping if isinstance(mapping, dict) else ():
        try:
            msgspec.convert(_replaced(value, path, {key: mapping[key]}), kind)
        except msgspec.ValidationError:
            yield key


def _at(value: Any, path: Path) -> Any:
    for part in path:
        value = value[part]
    return value


def _replaced(value: Any, path: Path, new: Any) -> Any:
    """A copy with another value at the path."""
    if not path:
        return new
    inner = _replaced(value[path[0]], path[1:], new)
    if isinstance(value, dict):
        return {**value, path[0]: inner}
    return [inner if index == path[0] else item for index, item in enumerate(value)]
