"""A port by labels among thousands of networks: which it gets, and that it costs no more."""

import sys
from collections import Counter
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest
from tests.doubles.places import Place
from tests.doubles.store import ADMIN, Store

from netwright.model.errors import NoNetworkForLabels
from netwright.model.resources import NetworkType, Pool, Port, Segment
from netwright.server.commands import (
    CreateNetworks,
    CreatePorts,
    CreateSubnets,
    DeletePorts,
    NetworkDraft,
    PortDraft,
    SubnetDraft,
)
from netwright.server.store.memory import Memory

MANY = 2_000
FEW = 200


def _networks(store: Store, count: int, addresses: int) -> None:
    """`n0`, `n1`, …: each with so many addresses."""
    store.do(
        CreateNetworks(
            caller=ADMIN,
            drafts=tuple(
                NetworkDraft(
                    id=f"n{n}",
                    project_id="p",
                    labels={"app": "web"},
                    segment=Segment(network_type=NetworkType.VXLAN, segmentation_id=n + 1),
                )
                for n in range(count)
            ),
        )
    )
    prefixes = [f"10.{n // 256}.{n % 256}" for n in range(count)]
    store.do(
        CreateSubnets(
            caller=ADMIN,
            drafts=tuple(
                SubnetDraft(
                    id=f"s{n}",
                    project_id="p",
                    network_id=f"n{n}",
                    cidr=f"{prefix}.0/24",
                    ip_version=4,
                    allocation_pools=(Pool(start=f"{prefix}.2", end=f"{prefix}.{1 + addresses}"),),
                )
                for n, prefix in enumerate(prefixes)
            ),
        )
    )


def _ask(*ids: str) -> CreatePorts:
    drafts = [
        PortDraft(id=each, project_id="p", network_id="", network_labels="app=web") for each in ids
    ]
    return CreatePorts(caller=ADMIN, drafts=tuple(drafts))


def test_the_one_that_is_not_full_is_found(place: Place) -> None:
    store = Store(place)
    _networks(store, MANY, addresses=1)
    first = store.do(_ask(*(f"a{n}" for n in range(MANY // 2))))
    more = [port for n in range(4) for port in store.do(_ask(*(f"b{n}-{m}" for m in range(249))))]
    ports: list[Port] = [*first, *more]
    places = Counter(port.network_id for port in ports)
    assert len(ports) == MANY - 4
    assert set(places.values()) == {1}, "spread over all of them"
    (*_, last) = (store.do(_ask(f"c{n}"))[0] for n in range(4))
    with pytest.raises(NoNetworkForLabels, match=f"None of the {MANY} networks that match"):
        store.do(_ask("d"))
    for gone in (ports[7], last):
        store.do(DeletePorts(caller=ADMIN, ids=(gone.id,)))
        assert store.do(_ask(f"after-{gone.id}"))[0].network_id == gone.network_id
    store.memory = Memory()  # as after a restart
    store.do(DeletePorts(caller=ADMIN, ids=(ports[9].id,)))
    assert store.do(_ask("e"))[0].network_id == ports[9].network_id


def test_a_port_costs_the_same_among_ten_times_as_many_networks() -> None:
    few, many = (_steps_of_a_port(count) for count in (FEW, MANY))
    assert many < 1.2 * few, (few, many)


def _steps_of_a_port(networks: int) -> int:
    """Opcodes of Python that a port takes, when others have been made before it."""
    store = Store()
    _networks(store, networks, addresses=200)
    for number in range(20):
        store.do(_ask(f"p{number}"))
        store.now += 1  # so that some counts are old
    steps = _steps(lambda: store.do(_ask("counted")))
    store.close()
    return steps


def _steps(work: Callable[[], Any]) -> int:
    steps = 0

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal steps
        frame.f_trace_opcodes = True
        steps += event == "opcode"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(before)
    return steps
