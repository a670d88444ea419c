"""What the fabric's commands say: the line of a file, the second witness of a host's life."""

from typing import Any

import pytest

from netwright.cli.host import witnesses
from netwright.cli.topology import located
from netwright.model.documents import Document
from netwright.model.errors import InvalidInput
from netwright.model.settings import InvalidConfiguration
from netwright.model.topology import Topology
from netwright.model.topology_checks import check

FILE = """\
switches:
  - {name: leaf1, kind: leaf, asn: 65001, loopback: 10.0.0.1}
  - {name: leaf2, kind: leaf, asn: 65002, loopback: 10.0.0.2}
links:
  - lower: {node: h1, interface: eth0}
    upper: {node: leaf1, interface: swp1}
  - lower: {node: h2, interface: eth0}
    upper: {node: leaf1, interface: swp1}
fabric:
  domain_vlans:
    leaf9: [{first: 10, last: 20}]
"""


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            FILE,
            "fabric.yaml:8: links.1.upper: interface swp1 of switch leaf1 has two neighbours: ",
        ),
        (
            FILE.replace("leaf1, interface: swp1}\nfabric", "leaf1, interface: swp2}\nfabric"),
            "fabric.yaml:11: fabric.domain_vlans.leaf9: leaf9 is no leaf of the inventory",
        ),
        (
            FILE.replace("asn: 65002, ", ""),
            "fabric.yaml:3: switches.1.asn: leaf leaf2 has no AS, and every leaf needs one",
        ),
    ],
)
def test_what_the_server_refuses_is_said_with_its_line(text: str, said: str) -> None:
    document = Document(text, "fabric.yaml", InvalidConfiguration)
    with pytest.raises(InvalidInput) as refused:
        check(document.convert(Topology))
    error = located(document, refused.value)
    assert isinstance(error, InvalidConfiguration)
    assert error.message.startswith(said)
    assert error.next == refused.value.next


def test_what_the_file_alone_shows_is_said_with_its_line() -> None:
    document = Document(FILE.replace("kind: leaf", "kind: laef", 1), "f", InvalidConfiguration)
    with pytest.raises(InvalidConfiguration, match=r"f:2: switches.0.kind: "):
        document.convert(Topology)


@pytest.mark.parametrize(
    ("links", "said"),
    [
        ([], ""),
        ([None, None], ""),
        ([False, False], "its leaves see no link of it: it is likely dead"),
        ([False, True], "its leaves see 1 of 2 links up: the host is likely alive"),
        ([None, True], "its leaves see 1 of 1 links up"),
    ],
)
def test_leaves_are_the_second_witness_of_a_silent_host(links: list[Any], said: str) -> None:
    words = witnesses([{"is_up": is_up} for is_up in links])
    assert said in words
    assert bool(words) is bool(said)
