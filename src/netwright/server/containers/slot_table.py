"""Who had which of N names when they were read, all at once."""

from collections.abc import Mapping
from typing import NamedTuple


class SlotHold(NamedTuple):
    """Whose a number was when it was read."""

    port_id: str
    container_id: str
    host: str
    is_live: bool


class SlotTable:
    """Of one template: who had which number. `free` are those that no living container had."""

    def __init__(self, holds: Mapping[int, SlotHold], count: int) -> None:
        self.holds = holds
        self.free = [n for n in range(count) if n not in holds or not holds[n].is_live]
        self._of_container = {hold.container_id: n for n, hold in holds.items()}

    def own(self, container_id: str) -> int | None:
        return self._of_container.get(container_id) if container_id else None
