"""Calls of the Container Runtime Interface (runtime.v1), as a kubelet makes them: gRPC on a socket.

A message is a dict, whose fields are those of the tables below: what the tests ask for and look at
of `k8s.io/cri-api`, by the numbers that it gives them. A call is one HTTP/2 stream on a connection
of its own.
"""

import socket
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple
from urllib.parse import unquote

import h2.config
import h2.connection
import h2.events

TEXT, NUMBER = "text", "number"
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_GRPC_PREFIX = struct.Struct(">BI")


class Many(NamedTuple):
    """A field that may come many times."""

    of: Any


Table = Mapping[str, tuple[int, Any]]
"""A message: by each field's name its number, and its kind: TEXT, NUMBER, Many or a table."""

_ENTRY: Table = {"key": (1, TEXT), "value": (2, TEXT)}
PAIRS = Many(_ENTRY)
"""A map of texts."""

_ID: Table = {"pod_sandbox_id": (1, TEXT)}
_CONTAINER_ID: Table = {"container_id": (1, TEXT)}
_METADATA: Table = {
    "name": (1, TEXT),
    "uid": (2, TEXT),
    "namespace": (3, TEXT),
    "attempt": (4, NUMBER),
}
_SANDBOX: Table = {
    "metadata": (1, _METADATA),
    "hostname": (2, TEXT),
    "log_directory": (3, TEXT),
    "labels": (6, PAIRS),
    "annotations": (7, PAIRS),
    "linux": (8, {"cgroup_parent": (1, TEXT)}),
}
_STATUS: Table = {
    "id": (1, TEXT),
    "metadata": (2, _METADATA),
    "state": (3, NUMBER),
    "network": (5, {"ip": (1, TEXT), "additional_ips": (2, Many({"ip": (1, TEXT)}))}),
}
_CONTAINER: Table = {
    "metadata": (1, {"name": (1, TEXT)}),
    "image": (2, {"image": (1, TEXT)}),
    "command": (3, Many(TEXT)),
}
_CONDITION: Table = {"type": (1, TEXT), "status": (2, NUMBER), "message": (4, TEXT)}

CALLS: Mapping[str, tuple[Table, Table]] = MappingProxyType(
    {
        "Version": ({}, {"runtime_name": (2, TEXT), "runtime_version": (3, TEXT)}),
        "Status": ({}, {"status": (1, {"conditions": (1, Many(_CONDITION))})}),
        "RunPodSandbox": ({"config": (1, _SANDBOX), "runtime_handler": (2, TEXT)}, _ID),
        "PodSandboxStatus": (
            _ID,
            {"status": (1, _STATUS)},
        ),
        "ListPodSandbox": (
            {},
            {
                "items": (
                    1,
                    Many({"id": (1, TEXT), "metadata": (2, _METADATA), "state": (3, NUMBER)}),
                )
            },
        ),
        "StopPodSandbox": (_ID, {}),
        "RemovePodSandbox": (_ID, {}),
        "CreateContainer": (
            {**_ID, "config": (2, _CONTAINER), "sandbox_config": (3, _SANDBOX)},
            _CONTAINER_ID,
        ),
        "StartContainer": (_CONTAINER_ID, {}),
        "ExecSync": (
            {**_CONTAINER_ID, "cmd": (2, Many(TEXT)), "timeout": (3, NUMBER)},
            {"stdout": (1, TEXT), "stderr": (2, TEXT), "exit_code": (3, NUMBER)},
        ),
    }
)
"""Of each call what is asked and what is answered."""


class CallError(Exception):
    """What the runtime answered instead, or that it does not answer."""


def call(path: Path, method: str, timeout_s: float, **request: Any) -> dict[str, Any]:
    """What the runtime at the socket answers. Raises CallError."""
    asked, answered = CALLS[method]
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(timeout_s)
            connection.connect(str(path))
            content = _exchange(connection, method, encode(asked, request))
    except OSError as error:
        raise CallError(f"{method}: {path} does not answer: {error}") from error
    return decode(answered, content)


def _exchange(connection: socket.socket, method: str, message: bytes) -> bytes:
    http = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
    http.initiate_connection()
    headers = {
        ":method": "POST",
        ":scheme": "http",
        ":path": f"/runtime.v1.RuntimeService/{method}",
        ":authority": "localhost",
        "content-type": "application/grpc",
        "te": "trailers",
    }
    stream = http.get_next_available_stream_id()
    http.send_headers(stream, list(headers.items()))
    http.send_data(stream, _GRPC_PREFIX.pack(0, len(message)) + message, end_stream=True)
    connection.sendall(http.data_to_send())
    body, trailers = bytearray(), dict[str, str]()
    for event in _events(connection, http):
        match event:
            case h2.events.ResponseReceived() | h2.events.TrailersReceived():
                trailers.update((str(key), str(value)) for key, value in event.headers or ())
            case h2.events.DataReceived():
                body += event.data or b""
                http.acknowledge_received_data(event.flow_controlled_length or 0, stream)
            case h2.events.StreamEnded() | h2.events.StreamReset():
                break
    if trailers.get("grpc-status") != "0":
        raise CallError(f"{method}: {unquote(trailers.get('grpc-message', 'no answer'))}")
    return bytes(body[_GRPC_PREFIX.size :])


def _events(
    connection: socket.socket, http: h2.connection.H2Connection
) -> Iterator[h2.events.Event]:
    while data := connection.recv(1 << 16):
        events = http.receive_data(data)
        yield from events
        connection.sendall(http.data_to_send())


def encode(table: Table, message: Mapping[str, Any]) -> bytes:
    """A message as protobuf has it. Raises KeyError for a field that its table does not name."""
    return b"".join(_field(*table[name], value) for name, value in message.items())


def _field(number: int, kind: Any, value: Any) -> bytes:
    if kind is PAIRS:
        value = [{"key": key, "value": each} for key, each in value.items()]
    if isinstance(kind, Many):
        return b"".join(_field(number, kind.of, each) for each in value)
    if kind is NUMBER:
        return _varint(number << 3 | _VARINT) + _varint(int(value))
    content = value.encode() if kind is TEXT else encode(kind, value)
    return _varint(number << 3 | _BYTES) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    septets = []
    while value > 0x7F:
        septets.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes((*septets, value))


def decode(table: Table, content: bytes) -> dict[str, Any]:
    """A message's known fields, those that were not given too; others are passed over."""
    message = {name: _nothing(kind) for name, (_, kind) in table.items()}
    known = {number: (name, kind) for name, (number, kind) in table.items()}
    for number, value in _fields(content):
        if number not in known:
            continue
        name, kind = known[number]
        if kind is PAIRS:
            entry = decode(_ENTRY, value)
            message[name][entry["key"]] = entry["value"]
        elif isinstance(kind, Many):
            message[name].append(_value(kind.of, value))
        else:
            message[name] = _value(kind, value)
    return message


def _nothing(kind: Any) -> Any:
    if kind is PAIRS:
        return {}
    if isinstance(kind, Many):
        return []
    return {TEXT: "", NUMBER: 0}[kind] if isinstance(kind, str) else decode(kind, b"")


def _value(kind: Any, value: Any) -> Any:
    if kind is NUMBER:
        return value
    return value.decode(errors="replace") if kind is TEXT else decode(kind, value)


def _fields(content: bytes) -> Iterator[tuple[int, Any]]:
    position = 0
    while position < len(content):
        tag, position = _read_varint(content, position)
        match tag & 7:
            case 0:
                value, position = _read_varint(content, position)
                yield tag >> 3, value
                continue
            case 2:
                length, position = _read_varint(content, position)
            case other:
                length = {_FIXED64: 8, _FIXED32: 4}[other]
        yield tag >> 3, content[position : position + length]
        position += length


def _read_varint(content: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = content[position]
        position += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, position
