"""Where a lab keeps what it must remember, and how its parts are named.

    ROOT/NAME/lab.json                    the description; written before anything else is made
    ROOT/NAME/NODE/processes/NAME.json    a started process: pid, start time, how to start it again
    ROOT/NAME/NODE/ovs/                   run directory of the node's OVS: database, sockets, logs
    ROOT/NAME/NODE/agent.toml             the agent's configuration (hosts)
    ROOT/NAME/instances/ID.json           an instance the lab plays the orchestrator of

Nothing here is needed to take a lab down: namespaces are found by their names, processes by the
namespace they are in. So a lab that was killed while it was being built goes away as well.
"""

import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
from msgspec import Struct

from netwright.lab.errors import LabError, SpecError, UnknownLabObjectError
from netwright.lab.layout import Layout, Node, lay_out
from netwright.lab.spec import Spec

ROOT = Path("/run/netwright/lab")
# Without a hyphen: the namespace of node b-c in lab a must not look like node c's in lab a-b.
LAB_NAME = re.compile(r"[a-z][a-z0-9]{0,11}")
# sun_path holds 107 octets; the longest socket below a lab is NODE/ovs/ovs-vswitchd.PID.ctl.
_ROOT_LENGTH_MAX = 45


class Lab(Struct, frozen=True):
    """A handle: a lab that is, or is about to be, up."""

    name: str
    root: Path
    spec: Spec
    layout: Layout

    @property
    def mark(self) -> str:
        """What interfaces bear as alias; OVS objects bear it as external_ids netwright-lab=NAME."""
        return f"netwright-lab:{self.name}"

    @property
    def directory(self) -> Path:
        return self.root / self.name

    def node_directory(self, node: str) -> Path:
        return self.directory / node

    def node(self, name: str) -> Node:
        """Raises UnknownLabObjectError with the names that there are."""
        for node in self.layout.nodes:
            if node.name == name:
                return node
        names = ", ".join(node.name for node in self.layout.nodes)
        msg = f"lab {self.name}: there is no node {name!r}; there are: {names}"
        raise UnknownLabObjectError(msg)

    def nodes(self, *kinds: str) -> list[str]:
        return [node.name for node in self.layout.nodes if node.kind in kinds]

    def namespace(self, node: str) -> str:
        return f"{namespace_prefix(self.name)}{node}"


class _Saved(Struct, frozen=True):
    name: str
    spec: Spec


def namespace_prefix(name: str) -> str:
    return f"nwl-{name}-"


def make_handle(spec: Spec, name: str, root: Path = ROOT) -> Lab:
    """Raises SpecError for a name or directory that cannot be used."""
    check_name(name)
    if len(str(root)) > _ROOT_LENGTH_MAX:
        msg = (
            f"lab {name}: the directory {root} is too long for unix sockets below it; "
            f"choose one of at most {_ROOT_LENGTH_MAX} letters"
        )
        raise SpecError(msg)
    return Lab(name, root, spec, lay_out(spec))


def check_name(name: str) -> None:
    if not LAB_NAME.fullmatch(name):
        msg = f"lab: {name!r} is no name: 1 to 12 of a-z and 0-9, a letter first"
        raise SpecError(msg)


def save(lab: Lab) -> None:
    lab.directory.mkdir(parents=True, exist_ok=True)
    write_atomically(lab.directory / "lab.json", msgspec.json.encode(_Saved(lab.name, lab.spec)))


def load(name: str, root: Path = ROOT) -> Lab:
    """The lab of that name. Raises UnknownLabObjectError when there is none."""
    check_name(name)
    try:
        saved = msgspec.json.decode((root / name / "lab.json").read_bytes(), type=_Saved)
    except FileNotFoundError:
        others = ", ".join(names(root)) or "none"
        msg = f"lab: there is no lab {name!r}; there are: {others}; `netwright lab up` makes one"
        raise UnknownLabObjectError(msg) from None
    except msgspec.DecodeError as error:
        msg = f"lab {name}: {root / name / 'lab.json'} is of another version ({error}); "
        raise LabError(msg + f"take it down: netwright lab down {name}") from error
    return make_handle(saved.spec, saved.name, root)


def names(root: Path = ROOT) -> list[str]:
    """Labs that are up or were left behind."""
    return sorted(path.name for path in root.iterdir()) if root.is_dir() else []


def write_atomically(path: Path, content: bytes, mode: int = 0o644) -> None:
    """A reader, or a lab killed here, sees the old content or the new, never a part."""
    part = path.with_name(f".{path.name}.part")
    part.touch(mode=mode)
    part.write_bytes(content)
    part.replace(path)


@contextmanager
def exclusive(name: str) -> Iterator[None]:
    """Only one process builds or removes a lab at a time.

    An abstract socket is the lock: it leaves no file and ends with its process.
    """
    with socket.socket(socket.AF_UNIX) as lock:
        try:
            lock.bind(f"\0netwright-lab/{name}")
        except OSError as error:
            msg = f"lab {name}: another process is building it or taking it down; wait for that"
            raise LabError(msg) from error
        yield
