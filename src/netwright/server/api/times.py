"""Times, as both APIs show them."""

from datetime import UTC, datetime
from functools import lru_cache


def moment(unix_s: float) -> datetime:
    """In whole seconds of UTC."""
    return _second(int(unix_s))


@lru_cache(maxsize=64)  # what one batch made has one time
def _second(unix_s: int) -> datetime:
    return datetime.fromtimestamp(unix_s, UTC)
