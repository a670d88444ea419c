"""What happens when a device waits too long for its underlay."""

from netwright.model.states import BindingState, Event
from netwright.server.ports.lifecycle import (
    UNDERLAY_DEADLINE_S,
    due_at,
    happen,
    step,
    with_binding,
)
from netwright.server.world import World


def pass_deadline(world: World, port_id: str) -> None:
    """Refuse the port's bindings whose deadline has passed; retries go on."""
    port = world.ports.get(port_id)
    if port is None:
        return
    for binding in port.bindings:
        due = due_at(binding)
        if due is None or due > world.now:
            continue
        others = [b.host for b in port.bindings if b.state is BindingState.WITHDRAWING]
        waits = (
            f"host {', '.join(others)} has not confirmed that it withdrew the port"
            if others
            else f"the agent of host {binding.host} did not report its underlay up"
        )
        cause = f"deadline: {UNDERLAY_DEADLINE_S:.0f} s after the device was seen, {waits}"
        after = step(binding, Event.DEADLINE, now=world.now, cause=cause)
        port = happen(
            world, with_binding(port, after), Event.DEADLINE, actor="server", binding=after
        )
