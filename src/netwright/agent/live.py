"""Which bindings a host wires. Pure."""

from netwright.model.resources import Binding, Port, VifType
from netwright.model.states import BindingState

LIVE = frozenset({BindingState.PREPARING, BindingState.UP, BindingState.DOWN, BindingState.REFUSED})
"""The states of a binding whose wiring is wanted. REFUSED is: it is tried again and again."""


def live_binding(port: Port, host: str) -> Binding | None:
    """The port's binding on the host, if wiring is wanted for it.

    One that the server has refused (`binding_failed`) is not: the server tries it again, with a new
    generation, when its cause goes.
    """
    binding = port.binding_on(host)
    if binding is None or binding.vif_type is VifType.BINDING_FAILED:
        return None
    return binding if binding.state in LIVE else None
