"""Whose turn it is to be fenced: few hosts a minute, all of a host's ports."""

import pytest

from netwright.model.resources import FenceState, Host, HostState, PortFence
from netwright.server import silent_ports
from netwright.server.silent_ports import due

NOW = 1_000.0


def host(name: str, *fences: PortFence) -> Host:
    return Host(
        name=name,
        driver="ovs",
        state=HostState.UNKNOWN,
        port_fences=fences,
        state_since=0.0,
        heard_at=0.0,
    )


def fence(port_id: str, asked_at: float, state: FenceState = FenceState.ASKED) -> PortFence:
    return PortFence(
        port_id=port_id, generation=1, macs=("m",), state=state, asked_at=asked_at, since=asked_at
    )


def known(*hosts: Host) -> dict[str, Host]:
    return {each.name: each for each in hosts}


def test_not_more_hosts_a_minute_than_are_allowed() -> None:
    hosts = known(*(host(f"h{n}") for n in range(5)))
    found = [(f"{name}-{n}", name) for name in hosts for n in range(3)]
    assert due(found, hosts, NOW, 2) == tuple(found[:6]), "all ports of two hosts"
    assert due(found, hosts, NOW, 0) == ()


@pytest.mark.parametrize(("asked_at", "others"), [(NOW - 30, 1), (NOW - 61, 2)])
def test_a_host_counts_for_a_minute_and_its_further_ports_wait_for_nothing(
    asked_at: float, others: int
) -> None:
    hosts = known(host("h0", fence("a", asked_at)), host("h1"), host("h2"))
    found = [("b", "h0"), ("c", "h1"), ("d", "h2")]
    assert due(found, hosts, NOW, 2) == tuple(found[: 1 + others])


def test_what_is_asked_already_is_not_asked_again() -> None:
    states = [FenceState.VERIFIED, FenceState.LIFTING]
    fences = [fence(state, NOW, state) for state in states]
    hosts = known(host("h0", fence("asked", NOW), *fences))
    found = [("asked", "h0"), *((state, "h0") for state in states), ("x", "nowhere")]
    assert due(found, hosts, NOW) == tuple(found[1:3])


def test_a_commit_has_a_bounded_number_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(silent_ports, "AT_ONCE_MAX", 2)
    found = [(f"p{n}", "h0") for n in range(5)]
    assert due(found, known(host("h0")), NOW) == tuple(found[:2])
