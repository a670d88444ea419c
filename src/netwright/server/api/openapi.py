"""Describes the routes as OpenAPI 3.1, from the same types that decode and encode the bodies."""

import re
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

import msgspec

from netwright.model.errors import HTTP_STATUS
from netwright.server.api.route import Access, Parameter, Route

_CREATED = 201
_OK = 200
_REFERENCES = "#/components/schemas/{name}"
_NETWORKING_ERROR = {
    "type": "object",
    "required": ["NeutronError"],
    "properties": {
        "NeutronError": {
            "type": "object",
            "required": ["type", "message", "detail"],
            "properties": {name: {"type": "string"} for name in ("type", "message", "detail")},
        }
    },
}
_PARAMETER = re.compile(r"{(\w+)}")
_NATIVE_ERROR = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["type", "fault", "message", "next"],
            "properties": {
                "type": {"type": "string"},
                "fault": {"enum": ["caller", "server", "device", "cloud"]},
                "message": {"type": "string"},
                "next": {"type": "string"},
            },
        }
    },
}


def document(routes: Sequence[Route]) -> bytes:
    """The OpenAPI document as JSON."""
    schemas = _Schemas(routes)
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        operation = _operation(route, schemas)
        if _CREATED in route.statuses and isinstance(route.response, tuple):
            operation["responses"][str(_CREATED)]["links"] = _links(route, routes)
        paths.setdefault(route.path, {})[route.method.lower()] = operation
    return msgspec.json.encode(
        {
            "openapi": "3.1.0",
            "info": {"title": "Netwright", "version": version("netwright")},
            "paths": paths,
            "components": {
                "schemas": {
                    **schemas.components,
                    "NetworkingError": _NETWORKING_ERROR,
                    "NativeError": _NATIVE_ERROR,
                },
                "securitySchemes": {
                    "token": {"type": "apiKey", "in": "header", "name": "X-Auth-Token"},
                    "bearer": {"type": "http", "scheme": "bearer"},
                },
            },
        }
    )


class _Schemas:
    """The JSON Schemas of the types in the routes.

    `{name: type}` is an object with one member, a tuple is one of its types.
    """

    def __init__(self, routes: Sequence[Route]) -> None:
        bodies = [
            body for route in routes for body in (route.request, route.response, route.lenient)
        ]
        types = [leaf for body in bodies for leaf in _leaves(body)]
        found, self.components = msgspec.json.schema_components(types, ref_template=_REFERENCES)
        self._found = {repr(t): schema for t, schema in zip(types, found, strict=True)}

    def of(self, described: Any) -> dict[str, Any]:
        if isinstance(described, tuple):
            return {"anyOf": [self.of(choice) for choice in described]}
        if isinstance(described, dict):
            return {
                "type": "object",
                "required": list(described),
                "properties": {name: self.of(value) for name, value in described.items()},
            }
        return self._found[repr(described)]

    def with_some_fields(self, described: Any) -> dict[str, Any]:
        """As `of`, for a reply of which the client may have asked for some attributes alone."""
        ((name, view),) = described.items()
        schema: dict[str, Any] = self.of(view)
        in_list = "items" in schema
        reference: str = (schema["items"] if in_list else schema)["$ref"]
        whole = self.components[reference.rpartition("/")[2]]
        some = {key: value for key, value in whole.items() if key != "required"}
        shown = {"type": "array", "items": some} if in_list else some
        return {"type": "object", "required": [name], "properties": {name: shown}}


def _leaves(described: Any) -> list[Any]:
    if described is None:
        return []
    if isinstance(described, tuple):
        return [leaf for choice in described for leaf in _leaves(choice)]
    return list(described.values()) if isinstance(described, dict) else [described]


def _operation(route: Route, schemas: _Schemas) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": _operation_id(route),
        "summary": route.summary,
        "parameters": [
            *_path_parameters(route),
            *map(_query_parameter, route.parameters),
            *map(_header_parameter, _headers(route)),
        ],
        "responses": _responses(route, schemas),
    }
    if route.access is not Access.PUBLIC:
        operation["security"] = [{"token": []}, {"bearer": []}]
    if route.request is not None:
        operation["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": schemas.of(route.request)}},
        }
    return operation


def _operation_id(route: Route) -> str:
    return re.sub(r"\W+", "_", f"{route.method.lower()}{route.path}".replace(":str", "")).strip("_")


def _links(creation: Route, routes: Sequence[Route]) -> dict[str, Any]:
    """What can be done with what was made: every operation on one of its collection."""
    response = creation.response
    (name,) = response[0] if isinstance(response, tuple) else response
    outer = {one: f"$request.path.{one}" for one in _PARAMETER.findall(creation.path)}
    links = {}
    for route in routes:
        path, _, key = route.path.rpartition("/")
        if path == creation.path and (found := _PARAMETER.fullmatch(key)):
            links[_operation_id(route)] = {
                "operationId": _operation_id(route),
                "parameters": outer | {found[1]: f"$response.body#/{name}/{found[1]}"},
            }
    return links


def _path_parameters(route: Route) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
        for name in _PARAMETER.findall(route.path)
    ]


def _query_parameter(parameter: Parameter) -> dict[str, Any]:
    schema = msgspec.json.schema(parameter.type)
    if parameter.repeated:
        schema = {"type": "array", "items": schema}
    return {"name": parameter.name, "in": "query", "required": False, "schema": schema}


_HEADERS = {
    "If-Match": {"type": "string", "pattern": '^"?revision_number=[0-9]{1,18}"?$'},
    "Prefer": {"type": "string", "enum": ["handling=lenient", "handling=strict"]},
}


def _headers(route: Route) -> tuple[str, ...]:
    return (*route.headers, *(("Prefer",) if route.lenient else ()))


def _header_parameter(name: str) -> dict[str, Any]:
    return {"name": name, "in": "header", "required": False, "schema": _HEADERS[name]}


def _responses(route: Route, schemas: _Schemas) -> dict[str, Any]:
    name = "NativeError" if route.path.startswith("/v1") else "NetworkingError"
    error = {
        "description": "What was wrong, whose fault it is, what to do next.",
        "content": {"application/json": {"schema": {"$ref": _REFERENCES.format(name=name)}}},
    }
    refusals = sorted({*map(str, HTTP_STATUS.values()), "405", "408", "413", "415"} - {"500"})
    responses: dict[str, Any] = dict.fromkeys(refusals, error)
    for status in route.statuses:
        responses[str(status)] = _success(route, schemas)
    if route.lenient is not None:
        both = (route.response, route.lenient) if _OK in route.statuses else route.lenient
        described = route._replace(response=both, summary="What became of each")
        responses[str(_OK)] = _success(described, schemas)
    return responses


def _success(route: Route, schemas: _Schemas) -> dict[str, Any]:
    success: dict[str, Any] = {"description": route.summary}
    if route.path == "/v1/watch":
        success["content"] = {"application/x-ndjson": {"schema": schemas.of(route.response)}}
    elif route.path == "/metrics":
        success["content"] = {"text/plain": {"schema": {"type": "string"}}}
    elif any(parameter.name == "fields" for parameter in route.parameters):
        schema = schemas.with_some_fields(route.response)
        success["content"] = {"application/json": {"schema": schema}}
    elif route.response is not None:
        success["content"] = {"application/json": {"schema": schemas.of(route.response)}}
    return success
