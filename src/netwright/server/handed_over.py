"""Resources that another service owns, handed over with the ids that they have there (ADR 48)."""

from typing import Any

from netwright.model.errors import IdInUse
from netwright.server.tables import Rows


def require_free(rows: Rows[str, Any], noun: str, id_: str) -> None:
    """Raises IdInUse when there is such a resource with this id.

    An id of our own is never in use: it is random, and loaded for nobody.
    """
    if rows.get(id_) is not None:
        raise IdInUse(
            f"{noun} {id_} is there already.",
            next="read it, and change it; a deleted port keeps its id until its host has confirmed",
        )
