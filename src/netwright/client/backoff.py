"""How long to wait before trying again: doubling, bounded, spread."""

from netwright.model.resources import Value


class Backoff(Value, frozen=True, kw_only=True):
    """Seconds before the n-th further try: `first_s` doubled each time, `max_s` at most.

    The caller passes `jitter` in [0, 1): the delay is spread between its half and its whole, so
    that five hundred agents do not come back in the same millisecond.
    """

    first_s: float
    max_s: float

    def delay_s(self, failures: int, jitter: float) -> float:
        """The delay after so many failures in a row (at least 1)."""
        doublings = min(failures - 1, 32)  # beyond, every bound in use is long reached
        whole = min(self.first_s * 2.0**doublings, self.max_s)
        return whole * (0.5 + jitter / 2)
