"""An auditor understands what the kernel of a leaf says of its bridges, veths and maps."""

import struct
from typing import Any

from tests.lab.leaves import Led, fence_key, fence_of, loose, numbers, ways


def link(name: str, **more: Any) -> dict[str, Any]:
    return {"ifname": name, **more}


def kind(word: str, **data: Any) -> dict[str, Any]:
    return {"info_kind": word, "info_data": data}


LINKS = {
    1: link("lo"),
    2: link("host1-eth0", link_index=2, linkinfo=kind("veth")),
    6: link("netwright", linkinfo=kind("bridge")),
    7: link("br501", linkinfo=kind("bridge")),
    8: link("vni501", master="br501", linkinfo=kind("vxlan", id=501)),
    9: link("in", link="out", master="br501", linkinfo=kind("veth")),
    10: link("out", link="in", linkinfo=kind("veth")),
}
TAGGED = {struct.pack("=II", 2, 11): struct.pack("=I", 10)}


def test_a_vlan_leads_by_a_veth_into_the_bridge_of_a_vni() -> None:
    led = Led("l1", "h1", 11, 501)
    assert ways("l1", {2: "h1"}, TAGGED, LINKS) == ({led}, {"in": led})
    assert list(loose(TAGGED, LINKS)) == []


def test_what_is_cut_leads_nowhere() -> None:
    nowhere = {Led("l1", "h1", 11, 0)}
    without_veth = {index: each for index, each in LINKS.items() if index not in {9, 10}}
    assert ways("l1", {2: "h1"}, TAGGED, without_veth) == (nowhere, {})
    unbridged = {**LINKS, 9: link("in", link="out", linkinfo=kind("veth"))}
    found, _ = ways("l1", {2: "h1"}, TAGGED, unbridged)
    assert found == nowhere
    without_vxlan = {index: each for index, each in LINKS.items() if index != 8}
    assert ways("l1", {2: "h1"}, TAGGED, without_vxlan)[0] == nowhere
    assert list(loose(TAGGED, without_vxlan)) == ["br501"]


def test_a_veth_that_no_vlan_leads_to_is_loose() -> None:
    assert list(loose({}, LINKS)) == ["out"]


def test_a_port_that_is_no_hosts_is_told_by_its_number() -> None:
    found, _ = ways("l1", {}, TAGGED, LINKS)
    assert found == {Led("l1", "port 2", 11, 501)}


def test_fences_are_macs_and_addresses() -> None:
    mac = "fa:16:3e:00:00:01"
    assert fence_of(fence_key(2, mac)) == (2, mac)
    four = struct.pack("=II4s12x", 2, 4, bytes([10, 0, 0, 5]))
    six = struct.pack("=II16s", 3, 6, bytes([0xFD, *[0] * 14, 5]))
    assert (fence_of(four), fence_of(six)) == ((2, "10.0.0.5"), (3, "fd00::5"))


def test_vnis_are_told_from_counts() -> None:
    assert list(numbers({"numVnis": 1, "501": {}, "flooding": "x"})) == [501]
