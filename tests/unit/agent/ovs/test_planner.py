"""A planner that remembers plans as one that knows nothing, and works on what changed alone."""

from collections.abc import Sequence
from itertools import chain

import msgspec
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from tests.unit.agent.ovs.plan_scene import (
    BLUE,
    PORTS,
    RED,
    WIRING,
    desired,
    endpoint,
    events,
    filters,
    happen,
    memberships,
    started,
    wants,
    wirings,
)
from tests.unit.agent.ovs.simswitch import SimSwitch

from netwright.agent.members import Memberships
from netwright.agent.ovs.actual import (
    ASKED_FROM,
    CONTAINER_MARK,
    Actual,
    Rows,
    by_cookie,
    renewed,
    reread,
)
from netwright.agent.ovs.changes import Plan
from netwright.agent.ovs.flows import Flow, Normal, match_on
from netwright.agent.ovs.guarding import Claims, is_guarded, shared_targets
from netwright.agent.ovs.pipeline import port_cookie
from netwright.agent.ovs.plan import Planner, make_plan
from netwright.agent.ovs.rows import InterfaceRow
from netwright.agent.ovs.wiring import Desired, Endpoint, HostWiring

ROUNDS_MAX = 4

steps = st.lists(
    st.tuples(
        events,
        wants,
        wirings,
        memberships,
        st.booleans(),
        st.dictionaries(st.sampled_from(PORTS), st.just("refused by a device"), max_size=1),
        st.frozensets(st.sampled_from(PORTS), max_size=2),
    ),
    min_size=1,
    max_size=5,
)


class Observer:
    """Looks at a switch as the driver does: what is the same stays the same object."""

    def __init__(self, switch: SimSwitch) -> None:
        self._switch = switch
        self._last = switch.actual()
        self._endpoints: dict[Endpoint, Endpoint] = {}

    def actual(self) -> Actual:
        found = self._switch.actual()
        rows = self._last.rows
        if found.rows != rows:
            rows = rows.then(found.rows.bridges, found.rows.ports, found.rows.interfaces)
        flows = {
            bridge: renewed(self._last.flows.get(bridge, {}), groups)
            for bridge, groups in found.flows.items()
        }
        meters = self._last.meters if found.meters == self._last.meters else found.meters
        self._last = Actual(rows, flows, found.addresses, meters)
        return self._last

    def same(self, endpoints: Sequence[Endpoint]) -> tuple[Endpoint, ...]:
        return tuple(self._endpoints.setdefault(one, one) for one in endpoints)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=150)
@given(steps=steps)
def test_what_it_remembers_changes_no_plan(
    steps: list[
        tuple[
            list[tuple[str, int, int | None]],
            list[Endpoint],
            HostWiring,
            Memberships,
            bool,
            dict[str, str],
            frozenset[str],
        ]
    ],
) -> None:
    switch = started()
    observer, planner = Observer(switch), Planner()
    for happened, wanted, wiring, joined, in_sync, barred, awaited in steps:
        for event in happened:
            happen(switch, event)
        want = Desired(wiring, observer.same(wanted), in_sync, joined, awaited)
        for _ in range(ROUNDS_MAX):
            actual = observer.actual()
            plan = planner.plan(want, actual, barred)
            assert plan == make_plan(want, actual, barred)
            if plan.empty:
                break
            switch.apply(plan)


BESIDE = ["plug", "open", "open_elsewhere", "refuse", "unplug", "lose", "misdirect", "fail"]
of_containers = st.builds(
    endpoint, st.sampled_from(PORTS[:2]), st.sampled_from([RED, BLUE]), filter=filters
)


def happen_beside(switch: SimSwitch, what: str, number: int) -> None:
    """What happens to containers' interfaces, and to those of the base wiring."""
    present = {row.name: row for row in switch.interfaces.values()}
    name, asked = f"nw{number}", ASKED_FROM + number
    row: InterfaceRow | None = None
    if what == "plug" and name not in present:
        switch.plug("br-int", name, f"p{number}")
        ids = {"iface-id": f"p{number}", CONTAINER_MARK: "c@eth0"}
        row = msgspec.structs.replace(
            switch.interface(name), external_ids=ids, ofport=None, ofport_request=asked
        )
    elif what in ("open", "open_elsewhere") and name in present:
        row = msgspec.structs.replace(present[name], ofport=asked + 7 * (what != "open"))
    elif what == "refuse" and name in present:
        row = msgspec.structs.replace(present[name], ofport=-1, error="no such device")
    elif what == "unplug" and name in present:
        switch.unplug(name)
    elif what == "lose":
        happen(switch, ("lose_flow", number, None))
    elif what == "misdirect":
        row = msgspec.structs.replace(switch.interface("int-br-bond"), options={"peer": "x"})
    elif what == "fail":
        row = msgspec.structs.replace(switch.interface("nic0"), error="gone")
    if row is not None:
        switch.interfaces[row.uuid] = row


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=150)
@given(
    steps=st.lists(
        st.tuples(
            st.lists(
                st.tuples(
                    st.sampled_from(
                        [
                            "plug",
                            "open",
                            "open_elsewhere",
                            "refuse",
                            "unplug",
                            "lose",
                            "misdirect",
                            "fail",
                        ]
                    ),
                    st.integers(0, 1),
                ),
                max_size=3,
            ),
            st.lists(of_containers, unique_by=lambda one: one.port_id),
            st.booleans(),
        ),
        min_size=1,
        max_size=6,
    )
)
@example(
    steps=[
        ([("plug", 0)], [endpoint("p0")], True),
        ([("misdirect", 0)], [endpoint("p0")], True),  # what it shares is to be made anew
    ]
)
def test_containers_and_base_wiring_are_planned_as_from_nothing(
    steps: list[tuple[list[tuple[str, int]], list[Endpoint], bool]],
) -> None:
    """What is said to lack but its opening lacks nothing once it is opened as was asked."""
    switch = started()
    observer, planner = Observer(switch), Planner()
    for happened, wanted, in_sync in steps:
        for what, number in happened:
            happen_beside(switch, what, number)
        want = Desired(WIRING, observer.same(wanted), in_sync)
        for _ in range(ROUNDS_MAX):
            actual = observer.actual()
            plan = planner.plan(want, actual)
            assert plan == make_plan(want, actual)
            opening = [one.port_id for one in plan.endpoints if one.status == "opening"]
            if opening:
                opened = with_opened(actual, opening)
                later = make_plan(want, opened)
                stands = {one.port_id: one.status for one in later.endpoints}
                assert {stands[port_id] for port_id in opening} == {"up"}
                touched = {
                    c.flow.cookie for c in chain(*later.close.values(), *later.open.values())
                }
                assert touched.isdisjoint(map(port_cookie, opening))
            if plan.empty:
                break
            switch.apply(plan)


def with_opened(actual: Actual, port_ids: Sequence[str]) -> Actual:
    interfaces = {
        uuid: msgspec.structs.replace(row, ofport=row.ofport_request)
        if row.external_ids.get("iface-id") in port_ids and row.ofport is None
        else row
        for uuid, row in actual.rows.interfaces.items()
    }
    return msgspec.structs.replace(
        actual, rows=Rows(actual.rows.bridges, actual.rows.ports, interfaces)
    )


def crowded(count: int) -> tuple[SimSwitch, Observer, Planner, tuple[Endpoint, ...]]:
    """A host with many ports in two segments, all wired; the planner has planned them."""
    switch = started()
    made = tuple(
        Endpoint(f"q{number}", (RED, BLUE)[number % 2], f"fa:16:3e:00:01:{number:02x}", mtu=1500)
        for number in range(count)
    )
    for one in made:
        switch.plug("br-int", f"tap{one.port_id}", one.port_id)
    observer, planner = Observer(switch), Planner()
    settle(switch, observer, planner, desired(*made))
    return switch, observer, planner, made


def settle(switch: SimSwitch, observer: Observer, planner: Planner, want: Desired) -> list[int]:
    """Apply plans until one is empty; how many ports each planning looked at closely."""
    looked_at = []
    for _ in range(ROUNDS_MAX):
        plan: Plan = planner.plan(want, observer.actual())
        looked_at.append(planner.looked_at)
        if plan.empty:
            return looked_at
        switch.apply(plan)
    raise AssertionError(f"not settled after {ROUNDS_MAX} rounds")


@pytest.mark.parametrize("count", [4, 200])
def test_a_new_device_costs_the_same_however_many_there_are(count: int) -> None:
    switch, observer, planner, made = crowded(count)
    switch.plug("br-int", "tapp0", "p0")
    want = desired(*made, endpoint())
    assert settle(switch, observer, planner, want) == [1, 1]
    assert settle(switch, observer, planner, want) == [0]


@pytest.mark.parametrize("in_sync", [True, False])
def test_what_changes_at_one_port_is_seen_at_that_port(*, in_sync: bool) -> None:
    switch, observer, planner, made = crowded(20)
    port = switch.port("tapq7")
    switch.ports[port.uuid] = msgspec.structs.replace(port, tag=77)
    interface = switch.interface("tapq9")
    switch.interfaces[interface.uuid] = msgspec.structs.replace(interface, mtu_request=9000)
    flows = (flow for flow in switch.ours("br-int") if ("eth_src", made[3].mac) in flow.match)
    lost = min(flows, key=str)
    del switch.flows["br-int"][lost.key]
    moved = msgspec.structs.replace(made[5], segment=BLUE if made[5].segment == RED else RED)
    want = desired(*made[:5], moved, *made[6:], in_sync=in_sync)
    assert settle(switch, observer, planner, want) == [4, 4]
    assert make_plan(want, switch.actual()).empty


@given(steps=st.lists(wants, min_size=2, max_size=6))
def test_what_ports_claimed_before_changes_no_shared_target(steps: list[list[Endpoint]]) -> None:
    claims = Claims()
    for wanted in steps:
        guarded = [one for one in wanted if is_guarded(one)]
        assert claims.shared(guarded) == shared_targets(guarded)
        assert claims.shared(guarded) == shared_targets(guarded)


def test_what_is_read_again_and_the_same_stays_the_same() -> None:
    one, two, other = (Flow(0, 1, match_on(in_port=n), (Normal(),), n) for n in (1, 2, 3))
    known = by_cookie([one, two])
    assert reread(known, [1], [one]) is known
    changed = reread(known, [1, 2, 3], [one, other])
    assert changed == by_cookie([one, other])
    assert changed[1] is known[1]
    assert known == by_cookie([one, two])
