"""Puts the front end where runtimes run plugins, and a conflist where they look for networks.

The program first: a runtime that finds the conflist runs it. Each file is replaced whole.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from netwright.cni import reference
from netwright.cni.protocol import SOCKET
from netwright.model.settings import InvalidConfiguration

TYPE = "netwright"
PROGRAM = Path(__file__).with_name(TYPE)
"""Compiled by `make cni`; in a checkout that was not set up it is not there."""
NO_NAMES: Mapping[str, str | int | None] = {}
REFERENCE = Path(str(reference.__file__))


def program(*, in_python: bool) -> Path:
    """The compiled front end where there is one, and Python was not asked for."""
    return REFERENCE if in_python or not PROGRAM.exists() else PROGRAM


def conflist(
    name: str,
    version: str,
    labels: str,
    *,
    socket: str = SOCKET,
    wait_for: str = "underlay",
    names: Mapping[str, str | int | None] = NO_NAMES,
) -> dict[str, Any]:
    """A network configuration list with this plugin alone; what is the default is left out.

    `names` are the keys by which ports have lasting names: `portName`, `cluster`, `slots`, `keep`.
    """
    plugin: dict[str, Any] = {"type": TYPE, "labels": labels, "capabilities": {"bandwidth": True}}
    plugin |= {key: value for key, value in names.items() if value is not None}
    if socket != SOCKET:
        plugin["agentSocket"] = socket
    if wait_for != "underlay":
        plugin["waitFor"] = wait_for
    return {"cniVersion": version, "name": name, "plugins": [plugin]}


def read_conflist(path: Path) -> dict[str, Any]:
    """A conflist of somebody's own. Raises InvalidConfiguration for one without this plugin."""
    try:
        content = msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
        is_ours = any(ours(content)) and path.suffix == ".conflist"
    except OSError as error:
        raise InvalidConfiguration(
            f"{path} cannot be read: {error.strerror}.", next="Name a conflist that is there."
        ) from error
    except (ValueError, AttributeError, TypeError):
        is_ours = False
    if not is_ours:
        raise InvalidConfiguration(
            f"{path} is no conflist of this plugin.",
            next='Its name ends in .conflist, and one of its plugins has "type": "netwright".',
        )
    return content


def ours(conflist: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """This plugin's objects in a conflist. Raises ValueError and its like for what is none."""
    return [plugin for plugin in conflist.get("plugins", ()) if plugin.get("type") == TYPE]


def install(source: Path, bin_directory: Path, conf: Path, content: Mapping[str, Any]) -> Path:
    """Write program and conflist; the program's path. Raises InvalidConfiguration.

    A conflist that is not this plugin's is left alone.
    """
    _require_ours(conf)
    target = bin_directory / TYPE
    try:
        _write(target, source.read_bytes(), 0o755)
        text = msgspec.json.format(msgspec.json.encode(content), indent=2)
        _write(conf, text + b"\n", 0o644)
    except OSError as error:
        raise InvalidConfiguration(
            f"{error.filename or target} cannot be written: {error.strerror}.",
            next="Run this as root, or name other directories.",
        ) from error
    return target


def _require_ours(conf: Path) -> None:
    try:
        found = msgspec.json.decode(conf.read_bytes(), type=dict[str, Any])
        is_ours = any(ours(found))
    except FileNotFoundError:
        return
    except (OSError, ValueError, AttributeError, TypeError):
        is_ours = False
    if not is_ours:
        raise InvalidConfiguration(
            f"{conf} is there already, and no conflist of this plugin.",
            next="Move it away, or name another network by --name.",
        )


def _write(path: Path, content: bytes, mode: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.new")
    draft.write_bytes(content)
    draft.chmod(mode)
    draft.replace(path)
