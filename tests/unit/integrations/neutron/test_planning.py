"""The difference of both sides, as requests in their order; and that it ends."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from tests.unit.integrations.neutron import rows

from netwright_neutron.kinds import Key, Kind
from netwright_neutron.mapping import Wanted, wanted
from netwright_neutron.planning import (
    AddRules,
    Attach,
    Create,
    Delete,
    Detach,
    RemoveRules,
    Sides,
    Tag,
    Update,
    differs,
    plan,
    stands_otherwise,
)

MARK = "neutron"


def want(kind: Kind, row: dict[str, Any], *interfaces: str) -> Wanted:
    made = wanted(kind, row, interfaces)
    assert made is not None
    return made


def made_of(one: Wanted, **more: Any) -> dict[str, Any]:
    """What Netwright shows of it once it is there."""
    shown = {**one.fixed, **one.changeable, "id": one.key.id, "tags": [MARK], "status": "DOWN"}
    if one.key.kind is Kind.ROUTER:
        shown["routes"] = list(one.routes)
    if one.key.kind is Kind.SECURITY_GROUP:
        shown["security_group_rules"] = [
            {**dict(r), "id": f"r{n}"} for n, r in enumerate(one.rules)
        ]
    return {**shown, **more}


def sides(*pairs: tuple[Wanted | Key, dict[str, Any] | None], **interfaces: set[str]) -> Sides:
    return Sides(
        {one if isinstance(one, Key) else one.key: None if isinstance(one, Key) else one
         for one, _ in pairs},
        {one if isinstance(one, Key) else one.key: actual for one, actual in pairs},
        {router: frozenset(ports) for router, ports in interfaces.items()},
    )  # fmt: skip


def test_what_is_new_is_made_with_its_id_and_our_mark() -> None:
    network, port = want(Kind.NETWORK, rows.network()), want(Kind.PORT, rows.bound())
    first, second = plan(sides((port, None), (network, None)), MARK)
    assert isinstance(first, Create)
    assert isinstance(second, Create)
    assert (first.kind, second.kind) == (Kind.NETWORK, Kind.PORT)
    assert first.bodies[0]["handed_over"] == {"id": rows.NETWORK, "tags": [MARK]}
    assert second.bodies[0]["fixed_ips"] == [{"subnet_id": rows.SUBNET, "ip_address": "10.0.0.9"}]


def test_what_is_as_it_shall_be_is_left() -> None:
    kept = [
        want(Kind.NETWORK, rows.network()),
        want(Kind.PORT, rows.bound()),
        want(Kind.ROUTER, rows.router()),
        want(Kind.SECURITY_GROUP, rows.group(rows.rule())),
    ]
    assert plan(sides(*((each, made_of(each)) for each in kept)), MARK) == []


def test_lists_are_the_same_in_any_order() -> None:
    two = [
        {"subnet_id": "a", "ip_address": "10.0.0.1"},
        {"ip_address": "10.1.0.1", "subnet_id": "b"},
    ]
    port = want(Kind.PORT, rows.port(fixed_ips=two))
    assert plan(sides((port, made_of(port, fixed_ips=two[::-1]))), MARK) == []


def test_addresses_are_the_same_however_they_are_spelled() -> None:
    subnet = want(Kind.SUBNET, {
        "id": rows.SUBNET, "project_id": "p", "network_id": rows.NETWORK, "ip_version": 6,
        "cidr": "2001:db8::/64", "name": "2001:DB8::", "gateway_ip": "2001:db8:0::1",
        "enable_dhcp": True, "allocation_pools": [], "dns_nameservers": ["2001:DB8::1", "::2"],
        "host_routes": [{"destination": "2001:db8:1:0::/48", "nexthop": "2001:db8:0:0:0:0:0:9"}],
    })  # fmt: skip
    shown = made_of(
        subnet,
        gateway_ip="2001:db8::1",
        dns_nameservers=["2001:db8::1", "::2"],
        host_routes=[{"destination": "2001:db8:1::/48", "nexthop": "2001:db8::9"}],
    )
    assert plan(sides((subnet, shown)), MARK) == []
    renamed = {**shown, "name": "2001:db8::"}  # a name is no address
    assert plan(sides((subnet, renamed)), MARK) != []
    other = {**shown, "dns_nameservers": ["::2", "2001:db8::1"]}  # they are asked in turn
    assert plan(sides((subnet, other)), MARK) != []


def test_what_is_other_is_said_alone() -> None:
    port = want(Kind.PORT, rows.bound())
    (step,) = plan(sides((port, made_of(port, name="by hand"))), MARK)
    assert step == Update(Kind.PORT, [{"id": rows.PORT, "name": ""}])


def test_a_mark_that_was_taken_is_put_back() -> None:
    port = want(Kind.PORT, rows.port())
    assert plan(sides((port, made_of(port, tags=[]))), MARK) == [Tag(port.key, MARK)]


def test_what_is_gone_goes_before_its_address_is_anothers() -> None:
    gone = Key(Kind.PORT, "old")
    new = want(Kind.PORT, rows.port())
    network = Key(Kind.NETWORK, "n")
    steps = plan(sides((new, None), (gone, {"id": "old"}), (network, {"id": "n"})), MARK)
    assert steps[0] == Delete(Kind.PORT, ["old"])
    assert steps[1] == Delete(Kind.NETWORK, ["n"])
    assert isinstance(steps[2], Create)


def test_what_neither_has_is_done() -> None:
    assert plan(sides((Key(Kind.PORT, "x"), None)), MARK) == []


def test_a_router_with_its_interface_and_route() -> None:
    route = {"destination": "198.51.100.0/24", "nexthop": "10.0.0.9"}
    router = want(Kind.ROUTER, rows.router(routes=[route]), rows.PORT)
    port = want(Kind.PORT, rows.port(device_owner="network:router_interface"))
    steps = plan(sides((router, None), (port, None)), MARK)
    assert [type(step) for step in steps] == [Create, Create, Attach, Update]
    assert steps[2] == Attach(rows.ROUTER, rows.PORT)
    assert steps[3] == Update(Kind.ROUTER, [{"id": rows.ROUTER, "routes": [route]}])


def test_an_interface_goes_with_its_port() -> None:
    router = want(Kind.ROUTER, rows.router())
    actual = {"id": rows.PORT, "device_owner": "network:router_interface", "device_id": rows.ROUTER}
    both = sides(
        (router, made_of(router)), (Key(Kind.PORT, rows.PORT), actual), router1={rows.PORT}
    )
    assert plan(both, MARK) == [Detach(rows.ROUTER, rows.PORT)]


def test_a_router_that_goes_lets_go_of_routes_and_interfaces_first() -> None:
    key = Key(Kind.ROUTER, rows.ROUTER)
    route = {"destination": "198.51.100.0/24", "nexthop": "10.0.0.9"}
    actual = made_of(want(Kind.ROUTER, rows.router(routes=[route])))
    assert plan(sides((key, actual), router1={rows.PORT}), MARK) == [
        Update(Kind.ROUTER, [{"id": rows.ROUTER, "routes": []}]),
        Detach(rows.ROUTER, rows.PORT),
        Delete(Kind.ROUTER, [rows.ROUTER]),
    ]


def test_a_floating_ip_says_port_and_address_together() -> None:
    led = want(Kind.FLOATING_IP, rows.floating_ip(port_id="p1", fixed_ip_address="10.0.0.9"))
    free = want(Kind.FLOATING_IP, rows.floating_ip())
    (step,) = plan(sides((led, made_of(free))), MARK)
    assert step == Update(
        Kind.FLOATING_IP, [{"id": "fip1", "port_id": "p1", "fixed_ip_address": "10.0.0.9"}]
    )
    (step,) = plan(sides((free, made_of(led))), MARK)
    assert step == Update(Kind.FLOATING_IP, [{"id": "fip1", "port_id": None}])


def test_rules_are_compared_by_what_they_say() -> None:
    group = want(Kind.SECURITY_GROUP, rows.group(rows.rule(protocol="tcp")))
    actual = made_of(group, security_group_rules=[rows.rule(id="theirs", protocol="udp")])
    removed, added = plan(sides((group, actual)), MARK)
    assert removed == RemoveRules("g", ["theirs"])
    assert isinstance(added, AddRules)
    assert [each["protocol"] for each in added.rules] == ["tcp"]
    assert differs(group, actual)


def test_a_group_goes_after_the_ports_that_leave_it() -> None:
    port = want(Kind.PORT, rows.port(security_groups=[]))
    key = Key(Kind.SECURITY_GROUP, "g")
    both = sides((port, made_of(port, security_groups=["g"])), (key, {"id": "g"}))
    assert [type(step) for step in plan(both, MARK)] == [Update, Delete]


def test_a_state_that_neutron_missed() -> None:
    held, active = want(Kind.PORT, rows.bound()), want(Kind.PORT, rows.bound(status="ACTIVE"))
    assert stands_otherwise(held, made_of(held, status="ACTIVE"))
    assert stands_otherwise(active, made_of(active, status="ERROR"))
    assert not stands_otherwise(held, made_of(held, status="BUILD"))
    assert not stands_otherwise(active, made_of(active, status="ACTIVE"))
    elsewhere = made_of(held, status="ACTIVE", **{"binding:host_id": "host2"})
    assert not stands_otherwise(held, elsewhere)
    unbound = want(Kind.PORT, rows.port())
    assert not stands_otherwise(unbound, made_of(unbound, status="ACTIVE"))


_ids = st.sampled_from(["a", "b", "c"])
_names = st.sampled_from(["", "x", "y"])
_there = st.dictionaries(_ids, _names)


@given(_there, _there)
def test_any_state_comes_to_any_other_at_once(
    before: dict[str, str], after: dict[str, str]
) -> None:
    """Carried out, a plan leaves nothing to do, and nothing differs."""
    actual = {id_: made_of(want(Kind.PORT, rows.port(id=id_, name=n))) for id_, n in before.items()}
    looked_at = [Key(Kind.PORT, id_) for id_ in sorted({*before, *after})]
    wishes: dict[Key, Wanted | None] = dict.fromkeys(looked_at)
    wishes |= {Key(Kind.PORT, id_): want(Kind.PORT, rows.port(id=id_, name=n))
               for id_, n in after.items()}  # fmt: skip
    for step in plan(Sides(wishes, {key: actual.get(key.id) for key in looked_at}), MARK):
        match step:
            case Create(_, bodies):
                for body in bodies:
                    said = body["handed_over"]
                    actual[said["id"]] = {**body, "id": said["id"], "tags": said["tags"]}
            case Update(_, bodies):
                for body in bodies:
                    actual[body["id"]] |= body
            case Delete(_, ids):
                for id_ in ids:
                    del actual[id_]
            case _:
                raise AssertionError(step)
    both = Sides(wishes, {key: actual.get(key.id) for key in looked_at})
    assert plan(both, MARK) == []
    assert not any(differs(wishes[key], both.actual[key]) for key in looked_at)
