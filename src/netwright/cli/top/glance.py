"""What the panel keeps of each port and host: so little that a million fit into memory.

The watch sends them whole; attributes that are not named here are skipped in reading.
"""

from netwright.model.resources import HostState, Value
from netwright.model.states import PortState


class BindingGlance(Value, frozen=True, kw_only=True, gc=False):
    host: str
    active: bool


class PortGlance(Value, frozen=True, kw_only=True, gc=False):
    """`state_since` and `created_at` are Unix seconds; `cause` says why it is not ACTIVE."""

    id: str
    name: str = ""
    state: PortState
    state_since: float
    cause: str = ""
    created_at: float
    bindings: tuple[BindingGlance, ...] = ()
    device_owner: str = ""

    @property
    def host(self) -> str:
        """Where its active binding is; "" when it has none."""
        return next((binding.host for binding in self.bindings if binding.active), "")


class HostGlance(Value, frozen=True, kw_only=True, gc=False):
    name: str
    state: HostState
