"""The inventory of the fabric: checked, and kept over a restart."""

import pytest
from msgspec.structs import replace
from tests.unit.server.trace.pictures import TREE, gateway, link

from netwright.model.errors import InvalidInput
from netwright.model.topology import Topology
from netwright.server.commands import Caller, ReplaceTopology
from netwright.server.core import Core
from netwright.server.topology import check

ADMIN = Caller(project_id="p", is_admin=True)


@pytest.mark.parametrize(
    ("topology", "said"),
    [
        (replace(TREE, switches=TREE.switches * 2), r"switches. Reason: tor1 stands 2 times"),
        (replace(TREE, links=TREE.links * 2), r"links. Reason: host1/eth0 stands 2 times"),
        (replace(TREE, gateways=TREE.gateways * 2), r"core1/vlan101 stands 2 times"),
        (Topology(links=(link("host1/eth0", "tor9/p"),)), r"links\[0\].upper.* tor9 is no switch"),
        (replace(TREE, links=(link("tor1/a", "tor1/b"),)), "joins tor1 with itself"),
        (replace(TREE, links=(link("host1/a", "tor1/b", peer=True),)), "a peer link .* host1"),
        (replace(TREE, gateways=(gateway("blue", "tor1"),)), r"gateways\[0\].* tor1 is no core"),
    ],
)
def test_what_does_not_fit_is_named(topology: Topology, said: str) -> None:
    check(TREE)
    with pytest.raises(InvalidInput, match=said):
        check(topology)


async def test_it_is_whole_or_as_before_and_durable(database_url: str) -> None:
    core = await Core.open(database_url)
    await core.start()
    try:
        assert await core.reader.topology() == Topology()
        assert await core.commit(ReplaceTopology(caller=ADMIN, topology=TREE)) == TREE
        wrong = replace(TREE, switches=())
        with pytest.raises(InvalidInput):
            await core.commit(ReplaceTopology(caller=ADMIN, topology=wrong))
    finally:
        await core.close()
    core = await Core.open(database_url)
    await core.start()
    try:
        assert await core.reader.topology() == TREE
        less = replace(TREE, gateways=())
        await core.commit(ReplaceTopology(caller=ADMIN, topology=less))
        assert await core.reader.topology() == less
    finally:
        await core.close()
