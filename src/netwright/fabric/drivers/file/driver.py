"""The driver `file`: `DIRECTORY/NAME.yaml` is the switch, `NAME.commands` what would be done.

The commands are those of the driver `frr` on an empty switch, in the plan's order.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path

from netwright.fabric.changes import Change, Verb
from netwright.fabric.config import (
    Interface,
    Route,
    Segment,
    SwitchConfig,
    VlanGateway,
    Vrf,
)
from netwright.fabric.drivers.base import Actual, Learned, OvertakenError
from netwright.fabric.drivers.file import form
from netwright.fabric.drivers.file.form import Document
from netwright.fabric.drivers.frr import planning
from netwright.fabric.drivers.frr.observed import Observed, Space
from netwright.fabric.drivers.frr.planned import PlanError
from netwright.fabric.drivers.frr.shows import BgpConfiguration
from netwright.fabric.drivers.wording import element_words
from netwright.linux.links import Link
from netwright.model.errors import DeviceError

_WATCH_S = 1.0
_REVIEWED_ASN = 65535  # whose the switch is does not matter for review


class FileDriver:
    """Raises DeviceError when the file cannot be read or written, naming it."""

    def __init__(self, name: str, directory: Path, loopback: str) -> None:
        self._name = name
        self._path = directory / f"{name}.yaml"
        self._loopback = loopback or "192.0.2.1"

    async def read(self) -> Actual:
        now = self._document()
        return Actual(config=form.config(now), links={}, boot_id="file", token=now.token)

    async def apply(self, changes: Sequence[Change], *, token: int) -> None:
        """All or nothing: the file is replaced as a whole."""
        now = self._document()
        if now.token > token:
            raise OvertakenError(
                f"switch {self._name} was written to by a newer controller (token {now.token}, "
                f"ours is {token}): this one changes nothing more; it waits for the lease."
            )
        config = form.config(now)
        for change in changes:
            config = form.changed(config, change)
        self._write(self._path, form.write(form.document(self._name, token, config)))
        self._write(self._path.with_suffix(".commands"), commands(config, self._loopback))

    async def learned(self, vnis: Sequence[int]) -> Mapping[int, Learned]:
        """A file has no control plane: nothing is ever verified on it."""
        del vnis
        return {}

    async def watch(self) -> AsyncIterator[None]:
        """Yields when the file is another one, or was written by somebody."""
        before: object = ()
        while True:
            try:
                status = self._path.stat()
                now: object = (status.st_ino, status.st_mtime_ns, status.st_size)
            except FileNotFoundError:
                now = None
            if now != before:
                before = now
                yield
            await asyncio.sleep(_WATCH_S)

    async def close(self) -> None:
        """Nothing is open."""

    def _document(self) -> Document:
        try:
            return form.read(self._path.read_text())
        except FileNotFoundError:
            return Document(switch=self._name)
        except (OSError, ValueError) as error:
            raise DeviceError(
                f"switch {self._name}: {self._path} cannot be read: {error}. Correct the file, or "
                "remove it: it is then written anew."
            ) from error

    def _write(self, path: Path, text: str) -> None:
        part = path.with_name(f".{path.name}.part")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with part.open("w") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            part.replace(path)
        except OSError as error:
            raise DeviceError(
                f"switch {self._name}: {path} cannot be written: {error}. The file stands as it "
                "was; the change is tried again."
            ) from error


def commands(config: SwitchConfig, loopback: str) -> str:
    """What the driver `frr` would do on an empty switch, one line an operation."""
    ports = {
        *config.interfaces,
        *(gateway.interface.rpartition(".")[0] for gateway in config.gateways.values()),
    } - {""}
    links = {
        index: Link(index=index, name=name, is_up=True)
        for index, name in enumerate(sorted(ports), start=2)
    }
    empty = Observed(spaces={"": Space(links=links)}, bgp=BgpConfiguration(asn=_REVIEWED_ASN))
    plan = planning.Plan(empty, frozenset(), loopback)
    lines = []
    elements: list[Vrf | Segment | VlanGateway | Interface | Route] = [
        *config.vrfs.values(),
        *config.segments.values(),
        *config.gateways.values(),
        *config.interfaces.values(),
        *sorted(config.routes, key=str),
    ]
    for element in elements:
        change = Change(verb=Verb.ADD, after=element)
        lines.append(f"# {element_words(change)}")
        try:
            lines += [str(each) for each in planning.operations(plan, change)]
        except PlanError as error:
            lines.append(f"# cannot be made: {error}")
    return "\n".join([*lines, ""])
