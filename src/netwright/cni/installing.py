"""Puts the front end where runtimes run plugins, and a conflist where they look for networks.

The program first: a runtime that finds the conflist runs it. Each file is replaced whole.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from netwright.cni import reference
from netwright.cni.protocol import SOCKET
from netwright.model.settings import InvalidConfiguration

TYPE = "netwright"
PROGRAM = Path(__file__).with_name(TYPE)
"""Compiled by `make cni`; in a checkout that was not set up it is not there."""
REFERENCE = Path(str(reference.__file__))


def program(*, in_python: bool) -> Path:
    """The compiled front end where there is one, and Python was not asked for."""
    return REFERENCE if in_python or not PROGRAM.exists() else PROGRAM


def conflist(
    name: str, version: str, labels: str, *, socket: str = SOCKET, wait_for: str = "underlay"
) -> dict[str, Any]:
    """A network configuration list with this plugin alone; what is the default is left out."""
    plugin: dict[str, Any] = {"type": TYPE, "labels": labels}
    if socket != SOCKET:
        plugin["agentSocket"] = socket
    if wait_for != "underlay":
        plugin["waitFor"] = wait_for
    return {"cniVersion": version, "name": name, "plugins": [plugin]}


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
        types = [plugin.get("type") for plugin in found.get("plugins", ())]
    except FileNotFoundError:
        return
    except (OSError, ValueError, AttributeError, TypeError):
        types = []
    if TYPE not in types:
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
