"""What a project is told of its own port, in every state: never a host, a bridge or a cause."""

import pytest
from msgspec.structs import replace

from netwright.model.containers import Claim, PodIdentity
from netwright.model.resources import (
    Binding,
    FixedIp,
    Host,
    HostState,
    Network,
    NetworkType,
    Port,
    Remnant,
    Segment,
    Transition,
    VifType,
)
from netwright.model.states import BindingState, PortState
from netwright.server.ports.disclosure import explain_to_project, history_for_project

T = 1_000_000.0
SECRET = "rack7-blade3"
NETWORK = Network(
    id="n",
    project_id="p",
    segment=Segment(network_type=NetworkType.VLAN, physical_network=SECRET, segmentation_id=7),
    created_at=T,
    updated_at=T,
)
HOST = Host(
    name=SECRET,
    driver="ovs",
    state=HostState.UP,
    conditions={"redundancy lost": SECRET},
    state_since=T,
    heard_at=T,
)
PORT = Port(
    id="x",
    project_id="p",
    network_id="n",
    mac_address="fa:16:3e:00:00:01",
    name="web",
    state_since=T,
    created_at=T,
    updated_at=T,
    cause=f"host {SECRET} is on fire",
    bindings=(
        Binding(
            host=SECRET,
            generation=1,
            active=True,
            state=BindingState.UP,
            since=T,
            vif_type=VifType.OVS,
            cause=f"host {SECRET} is on fire",
        ),
    ),
)


@pytest.mark.parametrize("host", [HOST, replace(HOST, state=HostState.UNKNOWN), None])
@pytest.mark.parametrize("state", PortState)
def test_no_state_tells_of_the_host(state: PortState, host: Host | None) -> None:
    hosts = {SECRET: host} if host else {}
    explanation = explain_to_project(replace(PORT, state=state), NETWORK, hosts, T + 75)
    assert SECRET not in repr(explanation)
    assert str(state) in explanation.text
    assert bool(explanation.waits) is (state is not PortState.ACTIVE)


def test_it_reads_as_plain_words() -> None:
    port = replace(PORT, state=PortState.ERROR)
    assert explain_to_project(port, NETWORK, {SECRET: HOST}, T + 75).text == (
        "Port web is ERROR (it could not be wired; it is tried again by itself) for 1 min 15 s.\n"
        "The cause is the operators' to know, for 1 min 15 s.\n"
        "  To do: if it stays so, ask an administrator: netwright port explain x tells them why."
    )


def test_a_silent_hosts_port_is_told_as_last_reported() -> None:
    hosts = {SECRET: replace(HOST, state=HostState.UNKNOWN)}
    port = replace(PORT, state=PortState.ACTIVE)
    text = explain_to_project(port, NETWORK, hosts, T + 75).text
    assert text.startswith("As last reported, port web is ACTIVE")
    assert "how it stands now is not known" in text


def test_what_the_project_switched_off_itself_is_told_whole() -> None:
    port = replace(PORT, state=PortState.DEGRADED, admin_state_up=False)
    (wait,) = explain_to_project(port, NETWORK, {SECRET: HOST}, T).waits
    assert "admin_state_up is false" in wait.what


def test_an_address_that_is_held_is_told_without_its_host() -> None:
    gone = FixedIp(subnet_id="s", ip_address="10.0.0.5")
    (binding,) = PORT.bindings
    binding = replace(binding, remnant=Remnant(addresses=(gone,), since=T))
    port = replace(PORT, state=PortState.ACTIVE, bindings=(binding,))
    explanation = explain_to_project(port, NETWORK, {SECRET: HOST}, T + 75)
    (wait,) = explanation.waits
    assert "no longer answers for 10.0.0.5" in wait.what
    assert SECRET not in repr(explanation)


def test_history_names_actors_by_their_kind() -> None:
    one = Transition(
        port_id="x",
        number=1,
        at=T,
        event="plane_down",
        actor=f"agent {SECRET}",
        host=SECRET,
        to_state=PortState.DEGRADED,
        cause=f"tap left {SECRET}",
    )
    (told,) = history_for_project([one])
    assert told == replace(one, actor="agent", host=None, cause="")
    (told,) = history_for_project([replace(one, actor="operator")])
    assert told.actor == "operator"


def test_a_routers_interface_belongs_to_no_instance() -> None:
    owned = {"device_owner": "network:router_interface", "bindings": (), "cause": ""}
    port = replace(PORT, state=PortState.ALLOCATED, **owned)
    explanation = explain_to_project(port, NETWORK, {}, T)
    assert explanation.waits == ()
    assert "needs no host" in explanation.text


def test_of_a_containers_port_its_project_hears_all_but_where_it_was() -> None:
    pod = PodIdentity(cluster="blue", namespace="shop", name="web-0", uid="u")
    claim = Claim(
        container_id="abc", host=SECRET, keep="1h", pod=pod, ended_at=T, kept_until=T + 60.0
    )
    port = replace(PORT, claim=claim, unique_name="web-0", bindings=(), state=PortState.ALLOCATED)
    network = replace(NETWORK, drift_domain=(SECRET,))
    said = explain_to_project(port, network, {}, T + 1.0)
    assert "It was of pod shop/web-0, container abc, which ended 1 s ago" in said.text
    assert [wait.what for wait in said.waits] == [
        "It waits for the next container by its name 'web-0'"
    ]
    assert SECRET not in str(said)
