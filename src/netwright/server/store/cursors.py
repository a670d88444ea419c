"""Cursors: places in the event log, opaque to all but the store.

A cursor is `EPOCH-SEQ`; the epoch is the store's, and changes when it is restored from a backup, so
that a cursor from before is known to be no place in this log.
"""

_DIGITS_MAX = 18
"""A place is a 64-bit integer of the store."""


def cursor_of(seq: int, epoch: str) -> str:
    return f"{epoch}-{seq}"


def seq_of(cursor: str, epoch: str) -> int:
    """The place that a cursor names; -1 when it is none of this log."""
    prefix, _, number = cursor.rpartition("-")
    if prefix != epoch or len(number) > _DIGITS_MAX:
        return -1
    if not (number.isascii() and number.isdigit()):
        return -1
    return int(number)
