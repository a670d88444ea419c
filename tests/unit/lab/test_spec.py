"""Lab descriptions: what is refused, and how the error names it."""

import pytest

from netwright.lab import spec
from netwright.lab.errors import SpecError

GOOD = """\
management: {vlan: 10, subnet: 10.0.0.0/24, server: core1}
networks:
  blue: {vlan: 101, gateways: [10.101.0.1/24]}
routers:
  core1: {uplinks: [tor1]}
switches:
  tor1:
hosts: {count: 2, uplinks: [tor1, tor1]}
baremetal:
  metal1:
    port: tor1
"""


def test_presets_are_valid() -> None:
    assert "vlan" in spec.presets()
    for name in spec.presets():
        assert spec.preset(name).hosts.count >= 1


def test_the_number_of_hosts_can_be_overridden() -> None:
    assert spec.preset("vlan", hosts=8).host_names()[-1] == "host8"
    with pytest.raises(SpecError, match="number of hosts is 0"):
        spec.preset("vlan", hosts=0)


def test_good_text_parses() -> None:
    parsed = spec.parse(GOOD, source="good.yaml")
    assert parsed.switches == {"tor1": spec.Switch()}
    assert parsed.baremetal["metal1"].vlan is None


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("networks:", "netwroks:", r"x.yaml:2: netwroks: unknown key.*'networks'"),
        ("port: tor1", "prot: tor1", r"x.yaml:11: baremetal.metal1.prot: unknown key.*'port'"),
        ("vlan: 101", "vlan: 4095", r"x.yaml:3: networks.blue.vlan: .*at most 4094"),
        ("vlan: 101", "vlan: many", r"x.yaml:3: networks.blue.vlan: .*a whole number"),
        ("vlan: 101", "vlan: 10", r"x.yaml:3: networks.blue.vlan: VLAN 10 is management's already"),
        ("[10.101.0.1/24]", "[1]", r"x.yaml:3: networks.blue.gateways.0: .*must be text"),
        ("10.101.0.1/24", "10.101.0.1", r"x.yaml:3: .*needs its prefix length"),
        ("10.101.0.1/24", "10.101.0.400/24", r"x.yaml:3: networks.blue.gateways: '10.101.0.400"),
        ("10.0.0.0/24", "10.0.0.1/24", r"x.yaml:1: management.subnet: .*has host bits set"),
        ("10.0.0.0/24", "10.0.0.0/29", r"x.yaml:1: management.subnet: .*too small for 2 hosts"),
        (
            "port: tor1",
            "port: tor9",
            r"x.yaml:11: baremetal.metal1.port: 'tor9' cannot be meant.*tor1",
        ),
        ("server: core1", "server: metal1", r"x.yaml:1: management.server: 'metal1' cannot"),
        (
            "  tor1:\n",
            "  tor1:\n  tor1:\n",
            r"x.yaml:7: switches.tor1: stands twice, again in line 8",
        ),
        ("metal1:", "host2:", r"x.yaml:10: baremetal.host2: another node has this name"),
        ("metal1:", "ct-1:", r"x.yaml:10: baremetal.ct-1: .*does not begin with vm- or ct-"),
        ("[10.101.0.1/24]", "[10.101.0.1/24], labels: {a: '-'}", r"x.yaml:3: networks.blue.labels"),
        ("metal1:", "a-name-too-long:", r"x.yaml:10: baremetal.a-name-too-long: a node's name has"),
        ("  tor1:\n", "  tor1:\n  tor2:\n", r"x.yaml:8: switches.tor2: no cable leads from it"),
        ("hosts: {count: 2, uplinks: [tor1, tor1]}\n", "", r"x.yaml:1: the file: hosts is missing"),
        ("count: 2", "count: 2, count: 3", r"x.yaml:8: hosts.count: stands twice"),
        ("management: {", "management: [", r"this is no YAML"),
    ],
)
def test_an_error_names_line_and_element(old: str, new: str, message: str) -> None:
    assert old in GOOD
    with pytest.raises(SpecError, match=message):
        spec.parse(GOOD.replace(old, new), source="x.yaml")


def test_containers_ask_for_networks_by_what_they_are_labelled_with() -> None:
    assert spec.preset("containers").selectors() == ["env=prod,tier=web", "env=prod,tier=db"]
    assert spec.preset("evpn").selectors() == []
    labelled = GOOD.replace("/24]}", "/24], labels: {a: b}}")
    assert spec.parse(labelled, source="x.yaml").selectors() == ["a=b"]


def test_an_empty_file_is_refused() -> None:
    with pytest.raises(SpecError, match="empty"):
        spec.parse("# nothing\n", source="x.yaml")
    with pytest.raises(SpecError, match="must be an object, not a list"):
        spec.parse("- 1\n", source="x.yaml")


def test_an_unknown_preset_names_those_there_are() -> None:
    with pytest.raises(SpecError, match=r"no preset 'lan'; there are: .*vlan"):
        spec.preset("lan")
