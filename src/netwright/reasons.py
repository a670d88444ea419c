"""Why a switch's daemon, socket or file did not do what it was to do, as people say it."""

import os


def reason(error: Exception) -> str:
    """Why, without Python's number of the error: `no such file or directory: /run/frr/bgpd.vty`."""
    if not isinstance(error, OSError) or not error.strerror:
        return str(error) or type(error).__name__
    words = error.strerror
    if error.errno is not None and words == os.strerror(error.errno):
        words = words[:1].lower() + words[1:]
    return f"{words}: {os.fsdecode(error.filename)}" if error.filename is not None else words
