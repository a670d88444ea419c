"""What a plan is made of, rule by rule (VPCs: `test_plan_vpcs`); golden plans show whole ones."""

from msgspec.structs import replace
from tests.doubles.fabrics import (
    attachment,
    intent,
    link,
    network,
    provider,
    refused,
    topology,
)

from netwright.fabric.config import EMPTY, Fenced
from netwright.fabric.intent import changed, gathered
from netwright.fabric.plan import Planner, plan
from netwright.fabric.refusals import RefusalCode
from netwright.fabric.topology import FabricIndex
from netwright.model.states import AttachmentState
from netwright.model.topology import End, Link
from netwright.model.wire import Kind

NET = network(1)
OUT = provider(1, 100)


def test_an_attachment_that_withdraws_is_not_planned_and_any_other_is() -> None:
    for state in AttachmentState:
        planned = plan(
            intent(
                topology(),
                networks=[NET],
                attachments=[attachment(NET, "host1", 10, state=state)],
            )
        )
        is_live = state not in {AttachmentState.WITHDRAWING, AttachmentState.WITHDRAWN}
        assert (1001 in planned.switches["leaf1"].segments) is is_live, state
        assert planned.refusals == ()


def test_a_provider_networks_attachment_is_not_the_fabrics() -> None:
    planned = plan(intent(topology(), networks=[OUT], attachments=[attachment(OUT, "host1")]))
    assert planned.switches["leaf1"] == EMPTY
    assert planned.refusals == ()


def test_a_host_with_virtual_machines_and_an_interface_of_its_own_has_both() -> None:
    both = attachment(NET, "host1", 10, ("leaf1", "bm1"))
    leaf = plan(intent(topology(), networks=[NET], attachments=[both])).switches["leaf1"]
    assert leaf.interfaces["h1"].tagged == {10: 1001}
    assert leaf.interfaces["bm1"].untagged == 1001


def test_a_leaf_without_a_loopback_is_left_alone_and_its_hosts_are_told() -> None:
    fabric = topology()
    broken = replace(
        fabric,
        switches=tuple(
            replace(each, loopback="") if each.name == "leaf2" else each for each in fabric.switches
        ),
    )
    planned = plan(intent(broken, networks=[NET], attachments=[attachment(NET, "host1", 10)]))
    assert "leaf2" not in planned.switches
    assert planned.switches["leaf1"].interfaces["h1"].tagged == {10: 1001}
    assert refused(planned) == [RefusalCode.UNUSABLE_SWITCH] * 2
    assert {each.host for each in planned.refusals} == {None, "host1"}


def test_leaves_whose_loopbacks_end_alike_cannot_be_told_apart() -> None:
    fabric = topology()
    twins = tuple(
        replace(each, loopback="172.0.0.1") if each.name == "leaf2" else each
        for each in fabric.switches
    )
    planned = plan(intent(replace(fabric, switches=twins)))
    assert [(each.switch, each.code) for each in planned.refusals] == [
        ("leaf2", RefusalCode.UNUSABLE_SWITCH)
    ]


def test_two_hosts_on_one_interface_are_both_refused_there() -> None:
    fabric = topology(2, 2)
    shared = replace(fabric, links=(*fabric.links, link("host2", "leaf1", "h1")))
    planned = plan(
        intent(
            shared,
            networks=[NET],
            attachments=[attachment(NET, "host1", 10), attachment(NET, "host2", 10)],
        )
    )
    assert planned.switches["leaf1"] == EMPTY
    assert set(planned.switches["leaf2"].interfaces) == {"h1", "h2"}
    assert [(each.host, each.interface) for each in planned.refusals] == [
        ("host1", "h1"),
        ("host2", "h1"),
    ]
    assert "host1, host2" in planned.refusals[0].words


def test_a_peer_link_is_no_host() -> None:
    peers = Link(
        lower=End(node="leaf1", interface="p1"), upper=End(node="leaf2", interface="p1"), peer=True
    )
    fabric = topology()
    index = FabricIndex(replace(fabric, links=(*fabric.links, peers)))
    assert index.hosts.keys() == {"host1", "host2"}
    assert ("leaf2", "p1") in index.inner


def test_one_network_has_one_vlan_on_a_leaf() -> None:
    planned = plan(
        intent(
            topology(2, 2),
            networks=[NET],
            attachments=[attachment(NET, "host1", 10), attachment(NET, "host2", 11)],
        )
    )
    assert set(planned.switches["leaf1"].interfaces) == {"h1"}
    assert refused(planned) == [RefusalCode.VLAN_TAKEN] * 2
    assert "VLAN 10 there for another host, and VLAN 11" in planned.refusals[0].words


def test_a_fence_is_on_every_interface_of_the_host_and_of_bare_metal() -> None:
    drop = Fenced(port_id="p1", mac_address="02:00:00:00:00:01")
    made = intent(
        topology(),
        networks=[NET],
        attachments=[attachment(NET, "machine", None, ("leaf1", "bm1"))],
    )
    planned = plan(replace(made, fences=dict.fromkeys(("host1", "machine", "lost"), (drop,))))
    fenced = {
        (name, interface.name)
        for name, config in planned.switches.items()
        for interface in config.interfaces.values()
        if interface.fenced == (drop,)
    }
    assert fenced == {("leaf1", "h1"), ("leaf2", "h1"), ("leaf1", "bm1")}
    assert [(each.code, each.host) for each in planned.refusals] == [(RefusalCode.NO_LINK, "lost")]


def test_what_two_fenced_ports_have_alike_is_dropped_once() -> None:
    """Two VPCs may have the same addresses; a switch keeps one port for each sender."""
    first = Fenced(port_id="p1", mac_address="02:00:00:00:00:01", addresses=("10.0.0.5", "fd00::5"))
    other = Fenced(port_id="p2", mac_address="02:00:00:00:00:02", addresses=("10.0.0.5",))
    twin = Fenced(port_id="p3", mac_address="02:00:00:00:00:01", addresses=("10.0.0.5",))
    lone = Fenced(port_id="p4", mac_address="02:00:00:00:00:01", addresses=("10.0.0.9",))
    old = Fenced(port_id="p2", mac_address="02:00:00:00:00:01", addresses=("10.0.0.5",))
    fences = (other, lone, first, twin, old)
    planned = plan(replace(intent(topology()), fences={"host1": fences}))
    assert planned.switches["leaf1"].interfaces["h1"].fenced == (
        first,
        replace(other, addresses=()),
        replace(lone, mac_address=""),
    )


def test_a_drained_leafs_host_interfaces_are_down_whether_they_carry_anything_or_not() -> None:
    planned = plan(intent(topology(2, 2), drained=["leaf1"]))
    down = planned.switches["leaf1"].interfaces
    assert {name: each.is_down for name, each in down.items()} == {"h1": True, "h2": True}
    assert planned.switches["leaf2"] == EMPTY


def test_an_intent_is_gathered_of_a_mirror_and_changed_without_a_trace() -> None:
    objects: dict[Kind, dict[str, object]] = {
        Kind.NETWORK: {NET.id: NET},
        Kind.PORT: {"p": object()},
    }
    one = gathered(objects, topology(), drained=["leaf1"])
    other = changed(one, {(Kind.NETWORK, NET.id): None, (Kind.PORT, "p"): None})
    assert one.networks == {NET.id: NET}
    assert other.networks == {}
    assert other.subnets is one.subnets
    assert changed(one, {(Kind.PORT, "p"): None}) is one


def test_the_caller_may_say_which_attachments_differ() -> None:
    first = intent(topology(), networks=[NET])
    planner = Planner(first)
    one = attachment(NET, "host1", 10)
    second = changed(first, {(Kind.ATTACHMENT, "net-1@host1"): one})
    assert planner.update(second, ["net-1@host1"]) == {"leaf1", "leaf2"}
    assert planner.plan == plan(second)
    assert planner.update(second) == frozenset()
