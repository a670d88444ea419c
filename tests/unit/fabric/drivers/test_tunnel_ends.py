"""Tunnel ends and neighbours as rtnetlink has them: what is asked for is read back as asked."""

from msgspec.structs import replace

from netwright.linux import neighbours, tunnel_ends
from netwright.linux.neighbours import Neighbour

LEAF, OTHER = "10.255.0.4", "10.254.0.5"
ZEBRAS_BITS = 0x3 << 28
"""zebra has numbers with one of these for multihoming, and leaves next hops of them alone."""


def test_ends_are_read_back_by_the_number_that_entries_lead_to() -> None:
    bodies = [each.body for leaf in (LEAF, OTHER) for each in tunnel_ends.add_end(leaf)]
    found = tunnel_ends.parse_ends(bodies)
    assert sorted(found.values()) == [OTHER, LEAF]
    assert all(number & ZEBRAS_BITS for number in found)
    entries = [
        tunnel_ends.add_entry(7, mac, leaf).body
        for mac, leaf in (("02:4e:0a:ff:00:04", LEAF), ("02:4e:0a:fe:00:05", OTHER))
    ]
    led = {mac: found[number] for mac, number in tunnel_ends.parse_entries(entries).items()}
    assert led == {"02:4e:0a:ff:00:04": LEAF, "02:4e:0a:fe:00:05": OTHER}


def test_an_end_without_its_group_and_one_of_somebody_else_are_none_of_ours() -> None:
    single, group = (each.body for each in tunnel_ends.add_end(LEAF))
    assert tunnel_ends.parse_ends([single]) == {}
    assert tunnel_ends.parse_ends([group]) == {}
    theirs = [body[:2] + b"\x0b" + body[3:] for body in (single, group)]  # zebra's protocol
    assert tunnel_ends.parse_ends(theirs) == {}


def test_an_entry_that_leads_to_an_address_is_zebras() -> None:
    entry = tunnel_ends.remove_entry(7, "02:4e:0a:ff:00:04")  # it names no group
    assert tunnel_ends.parse_entries([entry.body]) == {}


def test_an_entry_that_is_handed_over_is_as_zebra_adds_it() -> None:
    """`bridge fdb replace MAC dev vni9001 self master dst LEAF extern_learn`, in octets."""
    added = tunnel_ends.add_common_entry(7, "02:4e:0a:ff:00:04", LEAF)
    asked = "07000000 07000000 0200 16 00 0800 0100 0aff0004 0a00 0200 024e0aff0004 0000"
    assert added.body == bytes.fromhex(asked)
    assert tunnel_ends.parse_entries([added.body]) == {}


def test_leaves_whose_addresses_end_alike_have_one_place() -> None:
    assert tunnel_ends.place(LEAF) == tunnel_ends.place("11.255.0.4")
    assert tunnel_ends.place(LEAF) != tunnel_ends.place(OTHER)


def test_neighbours_are_read_back_with_who_added_them() -> None:
    for address in (LEAF, "::ffff:aff:4"):
        ours = neighbours.add(7, address, "02:4e:0a:ff:00:04").body
        known = Neighbour(address, "02:4e:0a:ff:00:04", is_ours=True)
        assert neighbours.parse([ours]) == {address: known}
        zebras = ours[:-4] + b"\x0b" + ours[-3:]
        assert neighbours.parse([zebras]) == {address: replace(known, is_ours=False)}
        failed = ours[:8] + b"\x20\x00" + ours[10:]
        assert neighbours.parse([failed]) == {}
