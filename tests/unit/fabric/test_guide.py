"""What docs/guides/run-a-fabric.md tells people to write is right."""

import re
from pathlib import Path

from netwright.lab import spec
from netwright.lab.layout import lay_out
from netwright.lab.nodes.frr_config import configurations
from netwright.model.documents import Document
from netwright.model.errors import InvalidInput
from netwright.model.topology import Topology
from netwright.model.topology_checks import check
from netwright.model.vlan_domains import vlan_domains

GUIDE = Path(__file__).parents[3] / "docs" / "guides" / "run-a-fabric.md"


def block(language: str) -> str:
    (found,) = re.findall(rf"```{language}\n(.*?)```", GUIDE.read_text(), re.DOTALL)
    return str(found)


def test_the_inventory_is_one() -> None:
    topology = Document(block("yaml"), "fabric.yaml", InvalidInput).convert(Topology)
    check(topology)
    (domain,) = vlan_domains(topology)
    assert domain.leaves == ("leaf1", "leaf2")
    assert domain.hosts == ("host1", "host2")


def test_the_leaf_is_as_the_labs_are() -> None:
    layout = lay_out(spec.preset("evpn"))
    (leaf,) = (one for one in layout.fabric if one.speaker.node == "leaf1")
    told = configurations(leaf, None)
    lines = [*told["bgpd"].splitlines(), *told["bfdd"].splitlines()]
    own = [line for line in lines if not line.startswith(("frr defaults", "hostname"))]
    assert block("frr").splitlines() == own
