"""What a switch's kernel and daemons tell, read as the neutral form."""

from netwright.fabric.drivers.frr import reading
from netwright.fabric.drivers.frr.observed import Observed, Space
from netwright.linux.links import Link


def test_two_ends_of_a_veth_may_have_the_same_index_in_their_namespaces() -> None:
    """A leaf took the outer end for the inner one, and tore down all VLANs of the host's port."""
    alias = "netwright port=host1-eth0 vlan=1144"
    outer = Link(index=8, name="nw2.1144", kind="veth", alias=alias, peer=8)
    inner = Link(index=8, name="nwi2.1144", kind="veth", alias=alias, peer=8, master=4)
    observed = Observed(spaces={"": Space(links={8: outer}), "vpc-1": Space(links={8: inner})})
    assert reading.inner_end(observed, outer) == ("vpc-1", inner)
