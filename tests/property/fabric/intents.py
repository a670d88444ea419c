"""Steps from any intent to any other, of few values, so that they clash often."""

from typing import Any, NamedTuple

from hypothesis import strategies as st
from msgspec.structs import replace
from tests.doubles.fabrics import (
    attachment,
    interface,
    link,
    network,
    provider,
    router,
    subnet,
    topology,
)

from netwright.fabric.config import Fenced
from netwright.fabric.intent import Intent, changed
from netwright.model.resources import HostRoute
from netwright.model.states import AttachmentState
from netwright.model.topology import Capacities, Gateway, Irb
from netwright.model.wire import Kind


class Step(NamedTuple):
    """One change: of an object of a kind (None: it goes), or of another part of the intent."""

    part: Kind | str
    name: str
    value: Any

    def __call__(self, intent: Intent) -> Intent:
        if isinstance(self.part, Kind):
            return changed(intent, {(self.part, self.name): self.value})
        return replace(intent, **{self.part: self.value})


HOSTS = ("host1", "host2", "host3", "host4", "nowhere")
_NUMBERS = st.integers(1, 5)
_TRUNKS = (
    Gateway(switch="core1", interface="trunk", physical_network="physnet1"),
    Gateway(switch="border1", interface="up0", physical_network="physnet1"),
    Gateway(switch="border2", interface="up0", physical_network="physnet1"),
)
FABRIC = topology(4, 4, borders=2, gateways=_TRUNKS)
_SUBNETS = [
    subnet(network(1), "10.1.0.0/24", "10.1.0.1"),
    subnet(network(2), "10.2.0.0/24", "10.2.0.1"),
    subnet(network(3), "10.2.0.0/16", "10.2.0.1"),
    subnet(network(4), "10.4.0.0/24", "10.4.0.1"),
    subnet(network(4), "2001:db8:4::/64", "2001:db8:4::1"),
    subnet(provider(1), "192.0.2.0/24", "192.0.2.1"),
    subnet(provider(2, 200), "198.51.100.0/24", "198.51.100.1"),
]
_INTERFACES = [
    interface(each, f"{each.cidr.partition('/')[0].rstrip('0')}{last}")
    for each in _SUBNETS
    for last in ("1", "9")
    if ":" not in each.cidr or last == "1"
]
_TOPOLOGIES = [
    FABRIC,
    replace(FABRIC, fabric=replace(FABRIC.fabric, irb=Irb.SYMMETRIC)),
    topology(4, 4, borders=1, gateways=_TRUNKS[:2], capacities=Capacities(vnis=2, vrfs=1)),
    topology(2, 3),
    replace(FABRIC, links=(*FABRIC.links, link("host2", "leaf1", "h1"))),
    replace(
        FABRIC,
        switches=tuple(
            replace(each, loopback="10.0.0.1") if each.name == "leaf2" else each
            for each in FABRIC.switches
        ),
    ),
]


def _networks() -> st.SearchStrategy[Step]:
    whole = st.builds(
        network,
        _NUMBERS,
        vni=st.sampled_from([0, 0, 0, None, 1001]),
        up=st.sampled_from([True, True, False]),
        mtu=st.sampled_from([1450, 9000]),
    )
    others = st.sampled_from([provider(1), provider(2, 200), provider(3, 200), provider(4, None)])
    gone = st.sampled_from(["net-1", "net-2", "provider-1"])
    return st.one_of(
        (whole | others).map(lambda each: Step(Kind.NETWORK, each.id, each)),
        gone.map(lambda name: Step(Kind.NETWORK, name, None)),
    )


def _subnets() -> st.SearchStrategy[Step]:
    whole = st.sampled_from(_SUBNETS)
    return whole.map(lambda each: Step(Kind.SUBNET, each.id, each)) | whole.map(
        lambda each: Step(Kind.SUBNET, each.id, None)
    )


def _routers() -> st.SearchStrategy[Step]:
    routes = [
        HostRoute(destination="172.16.0.0/12", nexthop="10.1.0.7"),
        HostRoute(destination="0.0.0.0/0", nexthop="192.0.2.7"),
        HostRoute(destination="172.20.0.0/16", nexthop="203.0.113.1"),
    ]
    numbers = st.integers(1, 3)
    whole = st.builds(
        lambda number, interfaces, vni, routes, up: router(
            number, *interfaces, vni=vni, routes=routes, up=up
        ),
        numbers,
        st.lists(st.sampled_from(_INTERFACES), max_size=5, unique=True),
        st.sampled_from([90001, 90002, 90003, None, 1001]),
        st.lists(st.sampled_from(routes), max_size=2, unique=True),
        st.sampled_from([True, True, True, False]),
    )
    return st.one_of(
        whole.map(lambda each: Step(Kind.ROUTER, each.id, each)),
        numbers.map(lambda number: Step(Kind.ROUTER, router(number).id, None)),
    )


def _attachments() -> st.SearchStrategy[Step]:
    of = _NUMBERS.map(network) | st.just(provider(1))
    host = st.sampled_from(HOSTS)
    access = st.sampled_from(
        [
            ("leaf1", "bm1"),
            ("leaf2", "bm1"),
            ("leaf1", "h1"),
            ("leaf1", "up1"),
            ("leaf9", "x"),
            ("spine1", "x"),
        ]
    )
    whole = st.builds(
        lambda of, host, vlan, access, state: attachment(of, host, vlan, *access, state=state),
        of,
        host,
        st.sampled_from([10, 11, 12, 13, 14, None]),
        st.just(()) | st.lists(access, max_size=2, unique=True),
        st.sampled_from([AttachmentState.WANTED] * 3 + list(AttachmentState)),
    )
    return st.one_of(
        whole.map(lambda each: Step(Kind.ATTACHMENT, f"{each.network_id}@{each.host}", each)),
        st.builds(lambda of, host: Step(Kind.ATTACHMENT, f"{of.id}@{host}", None), of, host),
    )


def _others() -> st.SearchStrategy[Step]:
    drops = (Fenced(port_id="p", mac_address="02:00:00:00:00:01", addresses=("10.1.0.5",)),)
    fences = st.sets(st.sampled_from(HOSTS), max_size=2)
    drained = st.sets(st.sampled_from(["leaf1", "leaf4", "border1", "gone"]), max_size=2)
    return st.one_of(
        fences.map(lambda hosts: Step("fences", "", dict.fromkeys(sorted(hosts), drops))),
        drained.map(lambda names: Step("drained", "", frozenset(names))),
        st.sampled_from(_TOPOLOGIES).map(lambda fabric: Step("topology", "", fabric)),
    )


_ANY: st.SearchStrategy[Step] = st.one_of(
    _attachments(), _attachments(), _attachments(), _networks(), _subnets(), _routers(), _others()
)


@st.composite
def steps(draw: st.DrawFn) -> Step:
    """Any change of any intent."""
    return draw(_ANY)


def beginning() -> Intent:
    """Five networks and two provider networks with their subnets; nothing is attached."""
    networks = [*map(network, range(1, 6)), provider(1), provider(2, 200)]
    return Intent(
        topology=FABRIC,
        networks={each.id: each for each in networks},
        subnets={each.id: each for each in _SUBNETS},
    )
