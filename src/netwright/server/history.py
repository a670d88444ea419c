"""How much of the ports' histories is kept."""

from netwright.model.resources import Value


class HistoryKept(Value, frozen=True, kw_only=True):
    """The newest entries of each port; those of a deleted one for a while after it is gone.

    Enough for the life of an instance and for asking what went wrong last week. An entry takes
    about 400 bytes, so a million ports that all have their fill take 80 GB; most have ten.
    """

    per_port_max: int = 200
    after_delete_s: float = 7 * 86_400.0


HISTORY_KEPT = HistoryKept()
