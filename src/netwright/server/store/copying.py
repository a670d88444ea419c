"""What can go wrong when a database is copied, whichever it is."""

from netwright.model.errors import CallerError, Category, Conflict, NetwrightError


class CopyFailed(NetwrightError):
    """The copy was begun and could not be ended; nothing was changed."""


class NotABackup(CallerError):
    """The file holds no database of Netwright's."""


class NotEmpty(Conflict):
    """The place to restore to has something in it."""


class ProgramMissing(NetwrightError):
    """A program of the database's own is not installed."""

    category = Category.INVALID


def not_a_backup(file: object, why: str) -> NotABackup:
    return NotABackup(
        f"{file} is no backup that can be restored here: {why}",
        next="name a file that netwright db backup has made of the same kind of database",
    )


def not_empty(place: str) -> NotEmpty:
    return NotEmpty(
        f"the database {place} is not empty, and a restore replaces all that is in it",
        next="back it up first; then say --force, or restore to an empty --database",
    )
