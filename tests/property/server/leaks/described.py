"""What /openapi.json says that routes take, and the places of texts in bodies."""

import copy
from collections.abc import Iterator, Mapping
from typing import Any

GHOST = "0190c9d2-0000-7000-8000-00000000dead"
"""An id that nobody has."""

_DEPTH_MAX = 4


class Described:
    """What /openapi.json says of the routes."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._document = document

    def operations(self) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
        for path, methods in self._document["paths"].items():
            for method, operation in methods.items():
                yield method.upper(), path, operation

    def resolved(self, schema: Any) -> Any:
        while "$ref" in schema:
            schema = self._document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        return schema

    def choices(self, schema: Any) -> list[Any]:
        schema = self.resolved(schema)
        found = [each for one in schema.get("anyOf", ()) for each in self.choices(one)]
        return found or [schema]

    def filled(self, schema: Any, depth: int = 0) -> Any:
        """A value of the schema, with all that it may have in it."""
        options = [one for one in self.choices(schema) if one.get("type") != "null"]
        one = options[-1] if options else {}
        if "enum" in one:
            return one["enum"][0]
        if one.get("type") == "object":
            properties = one.get("properties", {}) if depth < _DEPTH_MAX else {}
            return {key: self.filled(each, depth + 1) for key, each in properties.items()}
        if one.get("type") == "array":
            return [self.filled(one["items"], depth + 1)] if one.get("items") else []
        if one.get("type") == "string":
            return GHOST if "a-f" in one.get("pattern", "") else "10.77.0.99"
        plain = {"integer": max(one.get("minimum", 1), 1), "number": 1, "boolean": False}
        return plain.get(one.get("type", ""))

    def bodies(self, operation: Mapping[str, Any], base: Any) -> Iterator[Any]:
        """The base with one attribute more, each in turn: wherever one may stand."""
        content = operation.get("requestBody", {}).get("content", {})
        schema = self.resolved(content.get("application/json", {}).get("schema", {}))
        for wrapper, inner in schema.get("properties", {}).items():
            for one in self.choices(inner):
                many = one.get("type") == "array"
                item = self.resolved(one["items"]) if many and "items" in one else one
                own = copy.deepcopy(base) if item.get("type") == "object" else None
                attributes = item.get("properties", {}) if own is not None else {"": item}
                for attribute, form in attributes.items():
                    value = self.filled(form)
                    whole = {**own, attribute: value} if own is not None else value
                    yield {wrapper: [whole] if many else whole}
                if own is not None:
                    yield {wrapper: [own] if many else own}


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The places of all texts."""
    if isinstance(value, str):
        yield path
    elif isinstance(value, Mapping):
        for key, each in value.items():
            yield from leaves(each, (*path, key))
    elif isinstance(value, list):
        for n, each in enumerate(value):
            yield from leaves(each, (*path, n))


def replaced(value: Any, path: tuple[Any, ...], by: str) -> Any:
    whole = copy.deepcopy(value)
    place = whole
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = by
    return whole


def at(value: Any, path: tuple[Any, ...]) -> Any:
    for step in path:
        value = value[step]
    return value
