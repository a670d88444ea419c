"""What somebody else changed on a switch, and what of it is to be left so. Pure."""

from netwright.fabric import changes, elements
from netwright.fabric.config import SwitchConfig
from netwright.fabric.elements import ElementKey
from netwright.fabric.store import Settled
from netwright.fabric.words import words
from netwright.model.resources import Value
from netwright.model.topology import DriftPolicy

LINES_MAX = 50


class Drift(Value, frozen=True, kw_only=True):
    """`left` of `keys` are only alarmed; `lines` is all of it in words, bounded."""

    keys: frozenset[ElementKey] = frozenset()
    left: frozenset[ElementKey] = frozenset()
    lines: tuple[str, ...] = ()

    @property
    def is_repaired(self) -> bool:
        """Whether some of it is put back."""
        return len(self.keys) > len(self.left)


NONE = Drift()


def found(
    actual: SwitchConfig, settled: Settled | None, wanted: SwitchConfig, policy: DriftPolicy
) -> Drift:
    """The drift of a switch that was brought to `settled`; without that there is none to see.

    What the plan wants as it was before is left where the policy is to alarm; what it wants anew is
    carried out in any case.
    """
    if settled is None:
        return NONE
    keys = elements.drifted(actual, settled.config, settled.goal)
    if not keys:
        return NONE
    brought, planned = elements.elements(settled.config), elements.elements(wanted)
    # What is as planned all the same is another controller's doing: nobody else knows the plan.
    keys &= elements.differing(elements.elements(actual), planned)
    if not keys:
        return NONE
    left: frozenset[ElementKey] = frozenset()
    if policy is DriftPolicy.ALARM:
        left = frozenset(key for key in keys if planned.get(key) == brought.get(key))
    summary = changes.summary(settled.config, actual)
    said = [words(one) for one in summary if elements.key_of(one.element) in keys]
    return Drift(keys=keys, left=left, lines=tuple(said[:LINES_MAX]))


def kept(actual: SwitchConfig, settled: Settled | None, drift: Drift) -> SwitchConfig:
    """What the switch counts as brought to: as it is, but for drift that is left as such."""
    if not drift.left or settled is None:
        return actual
    was, is_ = elements.elements(settled.config), elements.elements(actual)
    made = {key: one for key, one in is_.items() if key not in drift.left}
    made |= {key: was[key] for key in drift.left if key in was}
    return elements.composed(made)
