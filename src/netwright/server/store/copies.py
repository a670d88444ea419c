"""Copies of a database, taken while servers run, and put back while none does.

A copy is whole or not there: it is written beside its place, and gets its name when it is on disk.
What is put back gets a new epoch: cursors from before are no places in its log, so that watchers
and agents begin with a snapshot. Nor does it know which lives of agents came after the backup: its
hosts have no epoch until their agents register again, whichever life they are in.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from netwright.model.errors import Conflict, NetwrightError, NotFound, Unavailable
from netwright.server.store import postgres_copies, sqlite_copies
from netwright.server.store.existing import place_of, sqlite_path


class FileInTheWay(Conflict):
    """A backup never takes the place of another file."""


class BackupNotFound(NotFound):
    """The file to restore from is not there."""


def back_up(url: str, file: Path) -> int:
    """Copy the database to a new file; its size in bytes.

    Raises FileInTheWay, DatabaseNotFound, ProgramMissing, Unavailable and CopyFailed.
    """
    path = sqlite_path(url)
    with _made_whole(file) as unfinished:
        if path is None:
            postgres_copies.back_up(url, unfinished)
        else:
            sqlite_copies.back_up(path, unfinished)
    return file.stat().st_size


async def restore(url: str, file: Path, new_epoch: str, *, force: bool) -> str:
    """Make the database what the backup holds, named `new_epoch`; the version of its schema.

    Raises BackupNotFound, NotABackup, DatabaseInUse, NotEmpty unless `force`, ProgramMissing,
    Unavailable and CopyFailed; then the database is as it was.
    """
    _require_there(file, place_of(url))
    path = sqlite_path(url)
    if path is None:
        return await postgres_copies.restore(url, file, new_epoch, force=force)
    return sqlite_copies.restore(path, file, new_epoch, force=force)


def _require_there(file: Path, place: str) -> None:
    if not file.is_file():
        raise BackupNotFound(
            f"there is no backup {file} to restore {place} from", next="name another file"
        )


@contextmanager
def _made_whole(file: Path) -> Iterator[Path]:
    """A file beside `file`, readable by its owner only, that takes its name at the end."""
    if file.exists():
        raise FileInTheWay(
            f"{file} is there already, and a backup replaces nothing",
            next="name a new file, for instance with the date in it",
        )
    unfinished = file.with_name(f"{file.name}.unfinished-{os.getpid()}")
    try:
        try:
            os.close(os.open(unfinished, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
            yield unfinished
            sqlite_copies.sync(unfinished)
            os.link(unfinished, file)  # unlike a rename, it replaces nothing
            sqlite_copies.sync(file.parent)
        finally:
            unfinished.unlink(missing_ok=True)
    except OSError as error:
        raise _unwritable(file, error) from error


def _unwritable(file: Path, error: OSError) -> NetwrightError:
    return Unavailable(
        f"the backup {file} cannot be written: {error.strerror}",
        next="name a file in a directory that can be written to and has the room",
    )
