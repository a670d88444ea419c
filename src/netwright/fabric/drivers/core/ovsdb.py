"""A line card's access ports, by its OVSDB server's socket (RFC 7047). Blocks."""

import json
import socket
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from netwright.model.resources import Value
from netwright.reasons import reason

TIMEOUT_S = 5.0
_POLL_S = 0.005
_MARK = "netwright"
_DATABASE = "Open_vSwitch"


class AccessPort(Value, frozen=True):
    """`is_ours`: it bears our mark."""

    name: str
    bridge: str
    tag: int | None
    is_ours: bool


class Ovsdb:
    """One connection. Raises OSError when the server does not answer or refuses."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(TIMEOUT_S)
        try:
            self._socket.connect(str(path))
        except OSError as error:
            self._socket.close()
            raise OSError(
                error.errno, f"the line card's OVSDB at {path}: {reason(error)}"
            ) from error

    def close(self) -> None:
        self._socket.close()

    def ports(self) -> dict[str, AccessPort]:
        """All, by name."""
        bridges, ports = self._transact(
            {"op": "select", "table": "Bridge", "where": [], "columns": ["name", "ports"]},
            {
                "op": "select",
                "table": "Port",
                "where": [],
                "columns": ["_uuid", "name", "tag", "external_ids"],
            },
        )
        bridge_of = {
            uuid: row["name"] for row in bridges["rows"] for uuid in _members(row["ports"])
        }
        return {
            row["name"]: AccessPort(
                name=row["name"],
                bridge=bridge_of.get(row["_uuid"][1], ""),
                tag=row["tag"] if isinstance(row["tag"], int) else None,
                is_ours=_MARK in dict(row["external_ids"][1]),
            )
            for row in ports["rows"]
        }

    def bridges(self) -> set[str]:
        (found,) = self._transact(
            {"op": "select", "table": "Bridge", "where": [], "columns": ["name"]}
        )
        return {row["name"] for row in found["rows"]}

    def add_access_port(self, bridge: str, name: str, tag: int) -> None:
        marked = ["map", [[_MARK, "gateway"]]]
        self._transact(
            {"op": "insert", "table": "Interface", "row": {"name": name}, "uuid-name": "interface"},
            {
                "op": "insert",
                "table": "Port",
                "uuid-name": "port",
                "row": {
                    "name": name,
                    "interfaces": ["named-uuid", "interface"],
                    "tag": tag,
                    "vlan_mode": "access",
                    "external_ids": marked,
                },
            },
            {
                "op": "mutate",
                "table": "Bridge",
                "where": [["name", "==", bridge]],
                "mutations": [["ports", "insert", ["set", [["named-uuid", "port"]]]]],
            },
            *_HURRY,
        )

    def remove_port(self, name: str) -> None:
        """An absent one is no error."""
        (found,) = self._transact(
            {
                "op": "select",
                "table": "Port",
                "where": [["name", "==", name]],
                "columns": ["_uuid"],
            }
        )
        for row in found["rows"]:
            gone = ["set", [row["_uuid"]]]
            self._transact(
                {
                    "op": "mutate",
                    "table": "Bridge",
                    "where": [["ports", "includes", gone]],
                    "mutations": [["ports", "delete", gone]],
                },
                *_HURRY,
            )

    def settle(self) -> None:
        """Until the switch daemon has done what the database says; TimeoutError after 5 s."""
        (asked,) = self._transact(_CONFIGURATION)
        give_up = time.monotonic() + TIMEOUT_S
        while True:
            (now,) = self._transact(_CONFIGURATION)
            if now["rows"][0]["cur_cfg"] >= asked["rows"][0]["next_cfg"]:
                return
            if time.monotonic() > give_up:
                raise TimeoutError("the line card's switch daemon does not follow its database")
            time.sleep(_POLL_S)

    def _transact(self, *operations: Mapping[str, Any]) -> list[Any]:
        request = {"method": "transact", "params": [_DATABASE, *operations], "id": 1}
        self._socket.sendall(json.dumps(request).encode())
        decoder, data = json.JSONDecoder(), ""
        while True:
            received = self._socket.recv(1 << 16)
            if not received:
                raise ConnectionResetError("the line card's OVSDB hung up")
            data += received.decode()
            try:
                answer, _ = decoder.raw_decode(data)
            except json.JSONDecodeError:  # the rest is on its way
                continue
            break
        results = list(answer.get("result") or [])
        for result in [answer, *results]:
            if isinstance(result, dict) and result.get("error"):
                raise OSError(f"the line card's OVSDB refused: {result}")
        return results[: len(operations)]


# The switch daemon tells by `cur_cfg` how far it has followed this counter.
_HURRY: tuple[Mapping[str, Any], ...] = (
    {
        "op": "mutate",
        "table": "Open_vSwitch",
        "where": [],
        "mutations": [["next_cfg", "+=", 1]],
    },
)


_CONFIGURATION: Mapping[str, Any] = {
    "op": "select",
    "table": "Open_vSwitch",
    "where": [],
    "columns": ["next_cfg", "cur_cfg"],
}


def _members(value: list[Any]) -> list[str]:
    """Of a set of references, or of a single one."""
    kind, content = value
    return [content] if kind == "uuid" else [each[1] for each in content]
