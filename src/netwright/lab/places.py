"""Where a thing happens: a node by its name, or an instance by its port's id."""

import os
from collections.abc import Iterable, Mapping
from itertools import chain, count
from pathlib import Path
from typing import Any, NoReturn

import msgspec
from msgspec import Struct

from netwright.lab import netns
from netwright.lab.errors import LabError, SpecError, UnknownLabObjectError
from netwright.lab.nodes import ovs, reached
from netwright.lab.state import Lab

ID_LENGTH = 11
"""As much of a port's id as an interface's name holds after `tap` (Nova's way as well)."""

# A shorter beginning is too easily another instance's: `a` is a name and a hexadecimal digit.
_ID_PREFIX_MIN = 8


class Instance(Struct, frozen=True):
    """What the orchestrator knows of an instance with one port.

    `id` is its port's, and a container's own. `addresses` with prefix lengths, IPv4 and IPv6;
    `gateways` at most one a family; `device_id` is what people call it.
    """

    id: str
    mac: str
    addresses: tuple[str, ...]
    gateways: tuple[str, ...] = ()
    mtu: int = 1500
    device_id: str = ""

    @property
    def tap(self) -> str:
        return f"tap{self.id[:ID_LENGTH]}"


class Attachment(Struct, frozen=True):
    """What a container's runtime remembers until its end: what it told the plugin.

    `config` is the plugin's object; `args` is CNI_ARGS.
    """

    config: dict[str, Any]
    args: str


class Placed(Struct, frozen=True):
    """An instance and the node it is on: a host, or the bare-metal node that it is.

    What has an `attachment` is a container.
    """

    instance: Instance
    node: str
    namespace: str
    attachment: Attachment | None = None


def instances_directory(lab: Lab) -> Path:
    return lab.directory / "instances"


def placed(lab: Lab) -> list[Placed]:
    folder = instances_directory(lab)
    records = sorted(folder.glob("*.json")) if folder.is_dir() else []
    return [msgspec.json.decode(path.read_bytes(), type=Placed) for path in records]


def find_instance(lab: Lab, instance: str) -> Placed:
    """By its name, its id, or at least the first 8 characters of that.

    Raises UnknownLabObjectError when nothing, or more than one, is meant.
    """
    there = placed(lab)
    found = [p for p in there if instance in {p.instance.device_id, p.instance.id}]
    if not found and len(instance) >= _ID_PREFIX_MIN:
        found = [p for p in there if p.instance.id.startswith(instance)]
    if not found:
        msg = f"lab {lab.name}: there is no instance {instance!r}; there are: {_words(there)}"
        raise UnknownLabObjectError(msg)
    if len(found) > 1:
        raise UnknownLabObjectError(
            f"lab {lab.name}: {instance!r} may be each of: {_words(found)}",
            next=f"say which by its id, such as {found[0].instance.id[:ID_LENGTH]}",
        )
    return found[0]


def free_name(lab: Lab, wanted: str) -> str:
    """`wanted`, or with a number behind it, what nothing in the lab is called yet."""
    taken = {one.instance.device_id for one in placed(lab)}
    names = chain((wanted,), (f"{wanted}-{number}" for number in count(2)))
    return next(name for name in names if name not in taken)


def require_free(lab: Lab, name: str, host: str, *, follows: bool) -> None:
    """Raises SpecError when a new instance of this name would be taken for something else.

    One that `follows` a container of its name to another host is its successor.
    """
    if any(node.name == name for node in lab.layout.nodes):
        raise SpecError(
            f"lab {lab.name}: {name} is a node's name",
            next="choose another --name for the instance",
        )
    others = [one for one in placed(lab) if one.instance.device_id == name]
    if follows:
        others = [one for one in others if one.node == host or one.attachment is None]
    if others:
        raise SpecError(
            f"lab {lab.name}: there is an instance {_words(others)} already",
            next=f"choose another --name, or end it: netwright lab kill {lab.name} {name}",
        )


def _words(instances: Iterable[Placed]) -> str:
    words = (f"{p.instance.device_id} ({p.instance.id} on {p.node})" for p in instances)
    return ", ".join(words) or "none"


def namespace_of(lab: Lab, place: str) -> str:
    """Of a node or an instance. Raises UnknownLabObjectError naming the nodes there are."""
    if any(node.name == place for node in lab.layout.nodes):
        return lab.namespace(place)
    try:
        return find_instance(lab, place).namespace
    except UnknownLabObjectError:
        lab.node(place)
        raise


def execute(
    lab: Lab, place: str, argv: list[str], environment: Mapping[str, str] | None = None
) -> NoReturn:
    """Becomes the program, inside the namespace; ovs-* and vtysh there talk to the node's own."""
    netns.enter(namespace_of(lab, place))
    node = next((node for node in lab.layout.nodes if node.name == place), None)
    if node is not None and (first := reached.first_process(lab, place)) is not None:
        argv = [*reached.in_mounts_of(first), *argv]
    variables = {**(environment or {})}
    variables |= ovs.environment(lab, place) if node is not None and node.has_ovs else {}
    try:
        os.execvpe(argv[0], argv, {**os.environ, **variables})  # noqa: S606 (no shell is the point)
    except OSError as error:
        msg = f"lab {lab.name}: {argv[0]} cannot be run on {place}: {error.strerror}"
        raise LabError(msg) from error
