"""A port explained: every state in plain words, with what to do."""

from typing import Any

import pytest
from msgspec.structs import replace

from netwright.model.containers import Claim, PodIdentity
from netwright.model.resources import (
    Attachment,
    Binding,
    Host,
    HostState,
    Network,
    NetworkType,
    Port,
    Segment,
    VifType,
    VnicType,
)
from netwright.model.states import AttachmentState, BindingState, PortState
from netwright.server.ports.explain import explain
from netwright.server.ports.explanation import Explanation

T = 1_000_000.0
NOW = T + 75.0


def _network(**given: Any) -> Network:
    segment = Segment(
        network_type=NetworkType.VLAN, physical_network="physnet1", segmentation_id=101
    )
    return Network(
        **{
            "id": "n",
            "project_id": "p",
            "segment": segment,
            "created_at": T,
            "updated_at": T,
            **given,
        }
    )


def _binding(state: BindingState = BindingState.PREPARING, **given: Any) -> Binding:
    return Binding(
        **{
            "host": "h1",
            "generation": 1,
            "active": True,
            "state": state,
            "since": T,
            "vif_type": VifType.OVS,
            **given,
        }
    )


def _host(**given: Any) -> Host:
    return Host(
        **{
            "name": "h1",
            "driver": "ovs",
            "state": HostState.UP,
            "physical_networks": {"physnet1": "br-bond"},
            "state_since": T,
            "heard_at": T + 5,
            **given,
        }
    )


def _explain(
    state: PortState,
    *bindings: Binding,
    hosts: tuple[Host, ...] = (),
    network: Network | None = None,
    attachments: dict[str, Attachment] | None = None,
    **given: Any,
) -> Explanation:
    port = Port(
        id="x",
        project_id="p",
        network_id="n",
        mac_address="fa:16:3e:00:00:01",
        name="web",
        bindings=bindings,
        state=state,
        state_since=T,
        created_at=T,
        updated_at=T,
        **given,
    )
    known = {host.name: host for host in hosts}
    return explain(port, network or _network(), known, attachments or {}, NOW)


def test_all_of_it_reads_as_plain_words() -> None:
    explanation = _explain(PortState.WIRING, _binding(), hosts=(_host(),))
    assert explanation.text == (
        "Port web is WIRING (active binding; a needed plane is pending) for 1 min 15 s.\n"
        "Its device was not yet seen on h1, for 1 min 15 s.\n"
        "  To do: plug an interface with external_ids:iface-id=x into br-int of h1,"
        " as an orchestrator does."
    )
    assert (explanation.status, explanation.since, explanation.for_s) == ("BUILD", T, 75.0)


def test_a_sound_port_waits_for_nothing() -> None:
    explanation = _explain(PortState.ACTIVE, _binding(BindingState.UP), hosts=(_host(),))
    assert explanation.waits == ()
    assert explanation.text.endswith("It waits for nothing.")


def test_a_routers_interface_needs_no_host() -> None:
    explanation = _explain(PortState.ALLOCATED, device_owner="network:router_interface")
    assert explanation.waits == ()
    assert explanation.text == (
        "Port web stands for an address (network:router_interface): it has no device and needs no "
        "host. Whether its address answers is its network's gateways' matter.\n"
        "It waits for nothing."
    )


def test_conditions_of_the_host_are_told_and_stop_nothing() -> None:
    host = _host(
        conditions={"redundancy lost": "eth1 has no link"}, conditions_since={"redundancy lost": T}
    )
    explanation = _explain(PortState.ACTIVE, _binding(BindingState.UP), hosts=(host,))
    (wait,) = explanation.waits
    assert wait.what == (
        "Host h1 says: redundancy lost (eth1 has no link); this alone stops no port"
    )
    assert wait.since == T
    assert "this alone stops no port, for 1 min 15 s." in explanation.text


def test_a_lost_uplink_is_not_said_to_stop_nothing() -> None:
    host = _host(conditions={"uplink lost": "no verified path by eth0"})
    explanation = _explain(PortState.DEGRADED, _binding(BindingState.DOWN), hosts=(host,))
    assert "Host h1 says: uplink lost (no verified path by eth0)" in explanation.text
    assert "stops no port" not in explanation.text


@pytest.mark.parametrize("host", [None, _host(state=HostState.UNKNOWN)])
def test_bare_metal_on_a_vlan_needs_no_agent(host: Host | None) -> None:
    explanation = _explain(
        PortState.ACTIVE,
        _binding(BindingState.UP, vif_type=VifType.OTHER),
        hosts=(host,) if host else (),
        vnic_type=VnicType.BAREMETAL,
    )
    assert explanation.waits == ()
    assert explanation.text.endswith("It waits for nothing.")


def test_a_fence_is_the_operators_word_and_told_once() -> None:
    host = _host(state=HostState.FENCED, conditions={"fenced": "burnt", "redundancy lost": "eth1"})
    binding = _binding(BindingState.FENCED, cause="host h1 was fenced: burnt")
    explanation = _explain(PortState.DEGRADED, binding, hosts=(host,), cause=binding.cause)
    assert [wait.what for wait in explanation.waits] == [
        "Host h1 is fenced: burnt",
        "Host h1 says: redundancy lost (eth1); this alone stops no port",
    ]
    assert explanation.text.count("burnt") == 1


def test_without_a_host() -> None:
    (wait,) = _explain(PortState.ALLOCATED).waits
    assert wait.what == "It has no host"


@pytest.mark.parametrize(
    ("host", "words", "todo"),
    [
        (None, "Host h1 has never registered", "start netwright agent --host h1"),
        (_host(state=HostState.UNKNOWN), "agent of host h1 is silent", "netwright host fence h1"),
        (_host(state=HostState.FENCED), "Host h1 is fenced", "netwright host unfence h1"),
        (
            _host(physical_networks={"other": "br"}),
            "no bridge to physical network physnet1; it has: other",
            "--physical-network physnet1=BRIDGE",
        ),
    ],
)
def test_what_is_wrong_with_the_host_comes_first(host: Host | None, words: str, todo: str) -> None:
    hosts = () if host is None else (host,)
    first = _explain(PortState.WIRING, _binding(), hosts=hosts).waits[0]
    assert words in first.what
    assert todo in first.next


def test_a_silent_agent_is_silent_since_it_was_heard() -> None:
    host = _host(state=HostState.UNKNOWN)
    (wait,) = _explain(PortState.ACTIVE, _binding(BindingState.UP), hosts=(host,)).waits
    assert wait.since == T + 5


def test_what_a_silent_host_last_reported_is_told_as_that() -> None:
    host = _host(state=HostState.UNKNOWN)
    explanation = _explain(PortState.ACTIVE, _binding(BindingState.UP), hosts=(host,))
    assert explanation.text.splitlines()[0] == (
        "As last reported, port web is ACTIVE (every needed plane is up on at least one verified"
        " path) for 1 min 15 s; host h1 was last heard 1 min 10 s ago, and how it stands now is"
        " not known."
    )


@pytest.mark.parametrize(
    ("host", "cause"),
    [
        (None, "host h1 is not registered: start netwright agent --host h1 there"),
        (_host(state=HostState.UNKNOWN), "host h1 is silent: its agent was not heard for 15 s"),
        (_host(), "host h1 was not ready"),
    ],
)
def test_what_the_server_refused_is_told_once_and_not_laid_to_the_host(
    host: Host | None, cause: str
) -> None:
    binding = _binding(BindingState.REFUSED, vif_type=VifType.BINDING_FAILED, cause=cause)
    hosts = () if host is None else (host,)
    explanation = _explain(PortState.ERROR, binding, hosts=hosts, cause=cause)
    first, *rest = explanation.text.splitlines()
    assert first == (
        "Port web is ERROR (the server refused to bind it to h1; it is tried again by itself)"
        " for 1 min 15 s."
    )
    (wait,) = explanation.waits
    assert rest[0].startswith(wait.what)
    assert rest[1:] == [f"  To do: {wait.next}."]
    assert "refused it" not in explanation.text


def test_a_device_that_was_seen_and_not_wired() -> None:
    binding = _binding(device_seen_at=T + 10)
    (wait,) = _explain(PortState.WIRING, binding, hosts=(_host(),)).waits
    assert (wait.since, "saw its device" in wait.what) == (T + 10, True)


def test_causes_are_told() -> None:
    binding = _binding(BindingState.REFUSED, cause="no br-int")
    explanation = _explain(PortState.ERROR, binding, hosts=(_host(),), cause="no br-int")
    assert explanation.waits[0].what == "It could not be wired on h1: no br-int"
    assert explanation.text.count("no br-int") == 1
    assert "Cause: kept." in _explain(PortState.RELEASING, cause="kept").text
    binding = _binding(BindingState.DOWN, cause="unplugged")
    (wait,) = _explain(PortState.DEGRADED, binding, hosts=(_host(),)).waits
    assert wait.what == "Its wiring on h1 is down: unplugged"


def test_administrators_are_reminded_of_what_they_did() -> None:
    explanation = _explain(
        PortState.DEGRADED,
        _binding(BindingState.UP),
        hosts=(_host(),),
        admin_state_up=False,
        network=_network(name="blue", admin_state_up=False),
    )
    assert [wait.what for wait in explanation.waits] == [
        "The port is administratively down: admin_state_up is false",
        "Its network blue is administratively down",
    ]


@pytest.mark.parametrize("state", [PortState.MOVING, PortState.RELEASING, PortState.ALLOCATED])
def test_what_withdraws_is_told(state: PortState) -> None:
    older = _binding(BindingState.WITHDRAWING, host="h0", active=False)
    silent = _explain(state, older).waits[-1]
    assert silent.what == "Host h0 has not confirmed that its old wiring is gone"
    assert "netwright host fence h0" in silent.next
    heard = _explain(state, older, hosts=(_host(name="h0"),)).waits[-1]
    assert "log of netwright agent on h0" in heard.next


def test_a_fabric_network_waits_for_its_overlay() -> None:
    network = _network(segment=Segment(network_type=NetworkType.VXLAN, segmentation_id=1))
    up, host = _binding(BindingState.UP), _host(physical_networks={})
    (wait,) = _explain(PortState.WIRING, up, hosts=(host,), network=network).waits
    assert wait.what == "Its network is not yet attached to h1"
    assert wait.next == ""  # no command looks at the fabric yet
    drifted = Attachment(
        network_id="n", host="h1", state=AttachmentState.DRIFTED, since=T, cause="no route"
    )
    (wait,) = _explain(
        PortState.DEGRADED, up, hosts=(host,), network=network, attachments={"h1": drifted}
    ).waits
    assert wait.what == "The fabric's path to h1 is drifted: no route"
    by_vlan = replace(drifted, state=AttachmentState.WANTED, cause="", vlan=2000)
    (wait,) = _explain(
        PortState.WIRING, up, hosts=(host,), network=network, attachments={"h1": by_vlan}
    ).waits
    assert wait.what == "The fabric's path to h1 (VLAN 2000 below its leaves) is wanted"


def test_bare_metal_on_a_vlan_needs_no_plane() -> None:
    explanation = _explain(
        PortState.ACTIVE, _binding(), hosts=(_host(),), vnic_type=VnicType.BAREMETAL
    )
    assert explanation.waits == ()


POD = PodIdentity(cluster="blue", namespace="shop", name="web-0", uid="u")


def _claimed(
    *bindings: Binding,
    network: Network | None = None,
    state: PortState = PortState.ALLOCATED,
    **given: Any,
) -> Explanation:
    claim = Claim(**{"container_id": "abc", "host": "h1", "keep": "1h", "pod": POD, **given})
    return _explain(
        state,
        *bindings,
        hosts=(_host(),),
        network=network,
        claim=claim,
        unique_name="web-0",
        device_owner="netwright:container",
    )


def test_a_containers_port_says_whose_it_is() -> None:
    zone = _network(drift_domain="zone")
    said = _claimed(_binding(), state=PortState.WIRING, network=zone)
    assert (
        "It is of pod shop/web-0, container abc; when that ends, its address is kept for 1h."
        in said.text
    )
    assert "It may move within its zone, as its network's drift_domain says." in said.text


def test_a_kept_port_says_until_when_and_for_whom() -> None:
    leaves = _network(drift_domain=("leaf1",))
    said = _claimed(network=leaves, ended_at=T, kept_until=T + 3600.0)
    assert (
        "It was of pod shop/web-0, container abc, on host h1, which ended 1 min 15 s ago; its"
        " address is kept until 1970-01-12 14:46:40Z, 58 min 45 s more, if nobody claims it."
        in said.text
    )
    assert "It may move within hosts below leaf1" in said.text
    (wait,) = said.waits
    assert wait.what == "It waits for the next container by its name 'web-0'"
    assert wait.since == T


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"keep": "forever"}, "is kept forever, until somebody deletes it"),
        ({"keep": "while-owner-exists"}, "is kept while Pod web-0 exists"),
        ({"keep": "while-owner-exists", "owner_gone": True}, "no longer: its owner is gone"),
    ],
)
def test_what_no_time_ends(given: dict[str, Any], words: str) -> None:
    assert words in _claimed(ended_at=T, **given).text
