"""What this host's containers were given: a file for each interface, which outlives the agent.

    adding     asked for; what is half there of it the next life of the agent undoes
    attached   the runtime was answered
    releasing  nothing of it is left on the host; the server may not know yet

A file is written whole: by one write into it, or, where it is too long for that, by another in its
place. That takes milliseconds on a busy disk: ext4 brings a file to the disk that takes another's
name. It is written before what it says is done, or answered: after a crash nothing is there that no
file tells of. One that is empty is of an agent that was killed before its first write.
"""

import asyncio
import os
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import TypeAlias

import msgspec
import structlog

from netwright.agent.cni.made import Fitting
from netwright.model.resources import Value
from netwright.model.settings import InvalidConfiguration
from netwright.model.wire import ContainerPort

Key: TypeAlias = tuple[str, str]
"""A container's id and the name of its interface."""

KEPT, DRAFT = ".json", ".new"
PAGE = 4096
"""So much of a write the kernel takes over whole or not at all, when its process is killed."""

_NEW = os.O_CREAT | os.O_TRUNC

log = structlog.get_logger(__name__)


class Stage(StrEnum):
    ADDING = "adding"
    ATTACHED = "attached"
    RELEASING = "releasing"


class Record(Value, frozen=True, kw_only=True):
    """`network` is the name of the runtime's network configuration, not of one of ours.

    `claim` is what the server is asked for; `unique_name` is the claim's, with its {slot}, until
    the server has answered, which is when `fit` is known; `namespace` (which one it is, as the
    kernel tells them apart) once it is attached. `moved` says where the port went while the
    container stayed: nothing that is done with this record concerns the port any more.
    """

    container_id: str
    ifname: str
    netns: str
    network: str
    project_id: str
    unique_name: str
    stage: Stage
    claim: ContainerPort | None = None
    subject: str = ""
    moved: str = ""
    port_id: str = ""
    fit: Fitting | None = None
    namespace: str = ""

    @property
    def key(self) -> Key:
        return self.container_id, self.ifname


class Records:
    """All records of a directory, in memory as well. Raises InvalidConfiguration at its making."""

    def __init__(self, directory: Path) -> None:
        self._prefix = os.path.join(directory, "")  # noqa: PTH118 - as in `put`
        self._records: dict[Key, Record] = {}
        self._sizes: dict[Key, int] = {}
        self._unreadable: set[Key] = set()
        self._changed = asyncio.Event()
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            paths = sorted(directory.iterdir())
        except OSError as error:
            raise InvalidConfiguration(
                f"The directory of containers' records, {directory}, cannot be used:"
                f" {error.strerror}.",
                next="Name another by cni_state_directory, or give the agent the right to it.",
            ) from error
        for path in paths:
            self._take(path)

    def get(self, key: Key) -> Record | None:
        return self._records.get(key)

    def all(self) -> Mapping[Key, Record]:
        """As they are now."""
        return dict(self._records)

    @property
    def unreadable(self) -> frozenset[Key]:
        """Those whose files say nothing that can be understood; `drop` removes them."""
        return frozenset(self._unreadable)

    def put(self, record: Record) -> None:
        """Raises OSError when it cannot be kept."""
        path = self._path(record.key)
        size = self._sizes.get(record.key, 0)
        content = msgspec.json.encode(record)
        if max(size, len(content)) <= PAGE and record.key not in self._unreadable:
            content = content.ljust(size)  # spaces: what the file held beyond it must go as well
            _write(path, content, os.O_WRONLY | (0 if size else _NEW))
        else:
            draft = f"{path.removesuffix(KEPT)}{DRAFT}"
            _write(draft, content, os.O_WRONLY | _NEW)
            os.replace(draft, path)  # noqa: PTH105 - pathlib takes as long as the kernel
        self._sizes[record.key] = len(content)
        self._records[record.key] = record
        self._unreadable.discard(record.key)
        self._tell()

    def drop(self, key: Key) -> None:
        Path(self._path(key)).unlink(missing_ok=True)
        self._sizes.pop(key, None)
        self._records.pop(key, None)
        self._unreadable.discard(key)
        self._tell()

    async def changed(self) -> None:
        """Return when one of them is no more what it is now."""
        await self._changed.wait()

    def _tell(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    def _path(self, key: Key) -> str:
        return f"{self._prefix}{key[0]}@{key[1]}{KEPT}"

    def _take(self, path: Path) -> None:
        """What is named otherwise than ours is somebody's, and stays."""
        if "@" not in path.name or path.suffix not in {KEPT, DRAFT} or not path.is_file():
            return
        if path.suffix == DRAFT:  # of a life that ended amid it: its file stands
            path.unlink()
            return
        try:
            content = path.read_bytes()
            record = msgspec.json.decode(content, type=Record)
        except (msgspec.DecodeError, OSError):
            log.exception("record of a container cannot be read", path=os.fspath(path))
            container_id, _, ifname = path.stem.partition("@")
            self._unreadable.add((container_id, ifname))
            return
        self._records[record.key] = record
        self._sizes[record.key] = len(content)


def _write(path: str, content: bytes, flags: int) -> None:
    """All of it, from the file's beginning. Raises OSError; then nothing of a new file is left.

    An empty file would be a record that cannot be read.
    """
    file = os.open(path, flags | os.O_CLOEXEC, 0o600)
    try:
        left = memoryview(content)
        while left:  # more than a page: the kernel may take less at once
            left = left[os.write(file, left) :]
    except OSError:
        if flags & _NEW:
            Path(path).unlink(missing_ok=True)
        raise
    finally:
        os.close(file)
