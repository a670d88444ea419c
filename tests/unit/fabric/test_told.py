"""What the controller concludes of what it was told."""

import pytest

from netwright.fabric.told import lit
from netwright.model.resources import Host, HostState, Nic
from netwright.model.topology import End, Link, Topology

TOPOLOGY = Topology(
    links=(
        Link(lower=End(node="h1", interface="eth0"), upper=End(node="leaf1", interface="swp1")),
        Link(lower=End(node="h1", interface="eth1"), upper=End(node="leaf2", interface="swp1")),
    )
)
UP = Nic(name="eth0", link_up=True, forwarding=True, active=True)
DOWN = Nic(name="eth1", link_up=False, forwarding=False, active=False)
BOTH = frozenset({"leaf1", "leaf2"})


@pytest.mark.parametrize(
    ("state", "nics", "leaves"),
    [
        (HostState.UP, (UP, DOWN), frozenset({"leaf1"})),
        (HostState.UP, (UP,), BOTH),
        (HostState.UP, (), BOTH),  # its agent has begun anew, and knows of none yet
        (HostState.UNKNOWN, (UP, DOWN), frozenset[str]()),
    ],
)
def test_a_host_that_is_heard_lights_a_leaf_unless_it_says_that_the_link_is_down(
    state: HostState, nics: tuple[Nic, ...], leaves: frozenset[str]
) -> None:
    host = Host(name="h1", driver="ovs", state=state, state_since=0.0, heard_at=0.0, nics=nics)
    assert lit(TOPOLOGY, [host]) == leaves
