"""What is known of a switch after a pass: for verification and reports. A pure value."""

from collections.abc import Mapping

from netwright.fabric.config import SwitchConfig
from netwright.fabric.drivers.base import Actual, Learned
from netwright.fabric.elements import ElementKey
from netwright.model.fabric import SwitchStatus
from netwright.model.resources import Value


class View(Value, frozen=True, kw_only=True):
    """What is known of a switch after a pass. `actual` None: it does not answer.

    `number` is the plan that the pass was for; `is_clear`: nothing stands that that plan does not
    want. `refusals` says why elements are not as planned. `bringing` is what a pass that began
    since has set out for: some of it may stand by now, and what it lacks may be gone.
    """

    name: str
    status: SwitchStatus
    cause: str = ""
    drift: tuple[str, ...] = ()
    actual: Actual | None = None
    learned: Mapping[int, Learned] = {}
    refusals: Mapping[ElementKey, str] = {}
    number: int = 0
    is_clear: bool = False
    bringing: SwitchConfig | None = None
