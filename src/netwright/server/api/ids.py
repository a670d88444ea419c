"""Ids of new resources."""

from uuid import uuid4


def new_id() -> str:
    """A random UUID (RFC 9562, version 4).

    Not version 7: orchestrators name a port's device after the first 11 characters of its id, which
    in version 7 are the time, so that ports made within 256 ms would share one name (ADR 4).
    """
    return str(uuid4())
