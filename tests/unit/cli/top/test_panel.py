"""The panel's figures are those that counting anew would give; rates, places, what waits."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from netwright.cli.top.glance import BindingGlance, HostGlance, PortGlance
from netwright.cli.top.panel import NOWHERE, WAITING, Happening, Panel
from netwright.cli.top.view import By, ago, view
from netwright.model.resources import HostState
from netwright.model.states import PortState
from netwright.model.topology import End, Link, Switch, SwitchKind, Topology

HOSTS = ("h1", "h2", "h3")
TOPOLOGY = Topology(
    switches=(
        Switch(name="leaf1", kind=SwitchKind.LEAF, zone="a"),
        Switch(name="leaf2", kind=SwitchKind.LEAF, zone="a"),
        Switch(name="leaf3", kind=SwitchKind.LEAF, zone="b"),
        Switch(name="spine1", kind=SwitchKind.SPINE),
    ),
    links=tuple(
        Link(
            lower=End(node=host, interface=f"eth{number}"),
            upper=End(node=leaf, interface=f"{host}-eth{number}"),
        )
        for host, leaves in {"h1": ("leaf1", "leaf2"), "h2": ("leaf3",)}.items()
        for number, leaf in enumerate(leaves)
    ),
)


def port(
    name: str, state: PortState = PortState.ACTIVE, host: str = "", since: float = 0.0
) -> PortGlance:
    bindings = (BindingGlance(host=host, active=True),) if host else ()
    return PortGlance(
        id=name, state=state, state_since=since, created_at=0.0, cause="why", bindings=bindings
    )


def test_a_routers_interface_waits_for_no_host() -> None:
    panel = Panel(0.0)
    gateway = replace(port("g", PortState.ALLOCATED), device_owner="network:router_interface")
    panel.put(port("g", PortState.ALLOCATED), 1.0, is_news=True)
    panel.put(gateway, 2.0, is_news=True)  # it was made one
    assert (panel.ports, panel.hosts(), panel.by_state[PortState.ALLOCATED]) == (0, {}, 0)
    panel.drop("g", 3.0, is_news=True)
    assert panel.rates.per_second(3.0)[Happening.DELETED] == 0


CHANGES = st.lists(
    st.tuples(
        st.sampled_from("abcde"),
        st.none() | st.tuples(st.sampled_from(PortState), st.sampled_from(("", *HOSTS))),
    ),
    max_size=40,
)


@given(CHANGES)
def test_counts_are_those_of_counting_anew(
    changes: list[tuple[str, tuple[PortState, str] | None]],
) -> None:
    panel = Panel(0.0)
    panel.place(TOPOLOGY)
    there: dict[str, PortGlance] = {}
    for number, (name, becomes) in enumerate(changes):
        if becomes is None:
            panel.drop(name, float(number), is_news=True)
            there.pop(name, None)
        else:
            there[name] = port(name, becomes[0], becomes[1], since=float(number))
            panel.put(there[name], float(number), is_news=True)
    assert +Counter(panel.by_state) == Counter(each.state for each in there.values())
    assert panel.ports == len(there)
    naive: dict[str, Counter[PortState]] = {}
    for each in there.values():
        naive.setdefault(each.host or NOWHERE, Counter())[each.state] += 1
    assert {host: +counts for host, counts in panel.hosts().items()} == naive
    waiting = sorted(
        (each for each in there.values() if each.state in WAITING), key=lambda p: p.state_since
    )
    assert panel.oldest_waiting(3) == waiting[:3]


def test_a_host_counts_at_each_of_its_leaves_and_once_in_its_zone() -> None:
    panel = Panel(0.0)
    panel.place(TOPOLOGY)
    for name, host in (("a", "h1"), ("b", "h2"), ("c", "h3"), ("d", "")):
        panel.put(port(name, host=host), 0.0, is_news=False)
    active = {name: counts[PortState.ACTIVE] for name, counts in panel.leaves().items()}
    assert active == {"leaf1": 1, "leaf2": 1, "leaf3": 1, NOWHERE: 2}
    zones = {name: counts[PortState.ACTIVE] for name, counts in panel.zones().items()}
    assert zones == {"a": 1, "b": 1, NOWHERE: 2}


def test_rates_are_of_the_last_minute_and_a_snapshot_is_no_news() -> None:
    panel = Panel(0.0)
    for number in range(100):
        panel.put(port(f"old{number}"), 0.0, is_news=False)
    assert not any(panel.rates.per_second(0.0).values())
    for second in range(120):
        panel.put(port(f"new{second}", PortState.WIRING), float(second), is_news=True)
        panel.put(port(f"new{second}", PortState.ACTIVE), float(second), is_news=True)
    rates = panel.rates.per_second(119.0)
    assert rates[Happening.CREATED] == rates[Happening.ACTIVE] == 1.0
    assert rates[Happening.DELETED] == 0.0
    assert panel.rates.per_second(300.0)[Happening.CREATED] == 0.0


def test_the_last_errors_are_kept_with_why_and_the_newest_shown_first() -> None:
    panel = Panel(0.0)
    for number in range(3):
        name = f"p{number}"
        panel.put(port(name), float(number), is_news=True)
        panel.put(port(name, PortState.ERROR, "h1", float(number)), float(number), is_news=True)
        # That it is told again is no new error.
        panel.put(port(name, PortState.ERROR, "h1", float(number)), 9.0, is_news=True)
    shown = view(panel, By.HOST, 2, 10.0)
    assert [(error.port, error.ago_s, error.cause) for error in shown.errors] == [
        ("p2", 8.0, "why"),
        ("p1", 9.0, "why"),
    ]
    assert [one.port for one in shown.waiting] == ["p0", "p1"]


def test_the_worst_places_stand_first_and_the_others_are_counted() -> None:
    panel = Panel(0.0)
    panel.put_host(HostGlance(name="empty", state=HostState.UNKNOWN))
    for number in range(5):
        panel.put(port(f"a{number}", host="full"), 0.0, is_news=False)
    panel.put(port("b", PortState.ERROR, "broken"), 0.0, is_news=False)
    shown = view(panel, By.HOST, 2, 0.0)
    assert [place.name for place in shown.places] == ["broken", "full"]
    assert shown.more == 1
    assert shown.hosts_by_state == {HostState.UNKNOWN: 1}


def test_spans_are_said_in_two_units() -> None:
    assert [ago(s) for s in (8, 200, 7500, 349200)] == ["8 s", "3 min 20 s", "2 h 5 min", "4 d 1 h"]
