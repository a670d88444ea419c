"""YAML with lines: what is wrong is said with its place."""

from collections.abc import Mapping
from typing import Annotated

import pytest
from msgspec import Meta, Struct

from netwright.model.documents import Document, path_of
from netwright.model.settings import InvalidConfiguration
from netwright.model.topology import Topology


class Leaf(Struct, forbid_unknown_fields=True):
    asn: Annotated[int, Meta(ge=1)]
    names: tuple[str, ...] = ()


class Fabric(Struct, forbid_unknown_fields=True):
    leaves: Mapping[str, Leaf]
    pairs: tuple[Mapping[str, Leaf], ...] = ()


GOOD = """\
leaves:
  one: {asn: 1}
  two:
    asn: 2
    names: [a, b]
pairs:
- three: {asn: 3}
- four:
    asn: 4
"""


def read(text: str) -> Fabric:
    return Document(text, "f.yaml", InvalidConfiguration).convert(Fabric)


def test_what_is_right_is_read() -> None:
    fabric = read(GOOD)
    assert fabric.leaves["two"] == Leaf(2, ("a", "b"))
    assert fabric.pairs[1]["four"].asn == 4


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("asn: 2", "asn: 0", r"f.yaml:4: leaves.two.asn: it must be at least 1"),
        ("asn: 4", "asn: x", r"f.yaml:9: pairs.1.four.asn: it must be a whole number"),
        ("asn: 1", "ans: 1", r"f.yaml:2: leaves.one.ans: unknown key; the nearest .* 'asn'"),
        ("asn: 3", "what: 3", r"f.yaml:7: pairs.0.three.what: unknown key$"),
        ("[a, b]", "[a, 1]", r"f.yaml:5: leaves.two.names.1: it must be text"),
        ("    asn: 2\n", "", r"f.yaml:3: leaves.two: asn is missing"),
        ("  two:", "  one:", r"f.yaml:2: leaves.one: stands twice, again in line 3"),
        ("  two:", "  2:", r"f.yaml:1: leaves: a key in line 3 is no text"),
        ("[a, b]", "[a, b", r"f.yaml: this is no YAML"),
        (GOOD, "# nothing\n", r"f.yaml:1: the file: the file is empty"),
        (GOOD, "- 1\n", r"f.yaml:1: the file: it must be an object, not a list"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(old: str, new: str, message: str) -> None:
    assert old in GOOD
    with pytest.raises(InvalidConfiguration, match=message):
        read(GOOD.replace(old, new))


def test_an_element_that_the_server_names_has_a_line() -> None:
    text = "links:\n- lower: {node: a, interface: b}\n  upper: {node: c, interface: d}\n"
    document = Document(text, "f.yaml", InvalidConfiguration)
    document.convert(Topology)
    assert path_of("links[0].upper") == ("links", 0, "upper")
    error = document.error(path_of("links[0].upper"), "c is no switch")
    assert str(error) == "f.yaml:3: links.0.upper: c is no switch"
