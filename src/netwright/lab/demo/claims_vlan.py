"""What the demo claims of the VLAN stage, each claim with the measurement that shows it."""

from netwright.lab import faults, probe, processes, services
from netwright.lab.demo.stage import (
    CONDITION_TIMEOUT_S,
    PING_INTERVAL_S,
    PINGS,
    Claim,
    Scene,
    Stage,
    require,
)
from netwright.lab.errors import LabError
from netwright.lab.nodes import switch
from netwright.lab.nodes.host import BOND
from netwright.lab.orchestrator import Wanted, eventually
from netwright.lab.places import namespace_of
from netwright.lab.processes import run

# BFD at 100 ms sees a silent failure within 300 ms; twice that leaves room for a loaded machine.
LOST_BY_SILENT_NIC_MAX = 60


def _networks(stage: Stage) -> str:
    made = stage.orchestrator.create_networks()
    return ", ".join(f"{one['name']} (VLAN {one['provider:segmentation_id']})" for one in made)


def _instances(stage: Stage) -> str:
    wanted = [
        Wanted("web1", "host1", "blue"),
        Wanted("web2", "host1", "blue"),
        Wanted("web3", "host2", "blue"),
        Wanted("db1", "host1", "green"),
        Wanted("db2", "host3", "green"),
        Wanted("metal", "metal1", "blue"),
    ]
    made = stage.orchestrator.spawn(wanted)
    seconds = stage.orchestrator.await_status(made)
    stage.made |= {one.name: one for one in made}
    return f"{len(made)} ports ACTIVE, {seconds:.1f} s after they were bound"


def _same_vlan(stage: Stage) -> str:
    said = [
        stage.tap_ping("web1", "web2"),
        stage.tap_ping("web1", "web3"),
        stage.tap_ping("web1", "web3", 6),
    ]
    return "; ".join([*said, stage.tcp("web1", "web3")])


def _between_vlans(stage: Stage) -> str:
    said = [stage.tap_ping("web1", "db1"), stage.tap_ping("web3", "db2")]
    return "; ".join([*said, stage.tcp("web1", "db1")])


def _bare_metal(stage: Stage) -> str:
    return "; ".join([stage.tap_ping("web1", "metal"), stage.tap_ping("metal", "db2")])


def _isolation(stage: Stage) -> str:
    """A broadcast in blue is heard by blue on another host and by nobody in green."""
    blue = stage.made["web1"]
    nobody = blue.address().rpartition(".")[0] + ".250"
    who_has = f"arp and arp[24:4] = {int.from_bytes(_octets(nobody)):#x}"
    with (
        probe.capture(stage.lab, stage.place("web3"), "eth0", who_has) as heard,
        probe.capture(stage.lab, stage.place("db1"), "eth0", who_has) as leaked,
        probe.capture(stage.lab, stage.place("db2"), "eth0", who_has) as leaked_far,
    ):
        probe.ping(stage.lab, stage.place("web1"), nobody, count=5)
        control, green = heard.stop(), leaked.stop() + leaked_far.stop()
    require(control > 0, "the control heard no broadcast in its own VLAN")
    require(green == 0, f"green heard {green} broadcasts of blue")
    return f"broadcasts of web1: web3 (blue) heard {control}, db1 and db2 (green) heard 0"


def _anti_spoofing(stage: Stage) -> str:
    """An instance that takes another's address is not heard; its own address goes on."""
    web1, web2 = stage.made["web1"], stage.made["web2"]
    forged = web1.address().rpartition(".")[0] + ".240"
    namespace = namespace_of(stage.lab, stage.place("web1"))
    from_forged = f"icmp and src host {forged}"
    run(namespace, ["ip", "address", "add", f"{forged}/24", "dev", "eth0"])
    try:
        with (
            probe.capture(stage.lab, stage.place("web1"), "eth0", from_forged) as sent,
            probe.capture(stage.lab, stage.place("web2"), "eth0", from_forged) as arrived,
        ):
            argv = ["ping", "-n", "-c3", "-i0.1", "-W1", "-I", forged, web2.address()]
            _run_may_fail(namespace, argv)
            out, came = sent.stop(), arrived.stop()
    finally:
        run(namespace, ["ip", "address", "del", f"{forged}/24", "dev", "eth0"])
        # ARP that it was asked for with the forged source, and that nobody heard, is repeated only
        # after a second: until then its own packets would wait as well.
        run(namespace, ["ip", "neighbour", "flush", "dev", "eth0"])
    require(out > 0, "the forged packets never left the instance, so nothing was shown")
    require(came == 0, f"{came} forged packets arrived")
    return (
        f"{out} packets with a forged source left web1, 0 arrived; {stage.tap_ping('web1', 'web2')}"
    )


def _silent_nic(stage: Stage) -> str:
    """The NIC in use of host2 loses everything without losing its carrier."""
    web1, web3 = stage.made["web1"], stage.made["web3"]
    in_use = switch.active_member(stage.lab, "host2", BOND)
    nic = f"nic:host2/{in_use}"
    with probe.pinging(
        stage.lab, stage.place("web1"), web3.address(), count=PINGS, interval_s=PING_INTERVAL_S
    ) as run_:
        faults.fail(stage.lab, nic, silent=True)
        lost = run_.finish().lost
    require(lost <= LOST_BY_SILENT_NIC_MAX, f"{lost} of {PINGS} pings lost by a silent NIC failure")
    other = switch.active_member(stage.lab, "host2", BOND)
    require(other != in_use, f"host2 still uses {in_use}, which is silent")
    seen = eventually(lambda: "redundancy lost" in _conditions(stage, "host2"), CONDITION_TIMEOUT_S)
    require(seen, "host2 does not show `redundancy lost`")
    stage.orchestrator.await_status([web1, web3])
    faults.heal(stage.lab, nic)
    well = eventually(
        lambda: "redundancy lost" not in _conditions(stage, "host2"), CONDITION_TIMEOUT_S
    )
    require(well, "host2 still shows `redundancy lost` after the NIC was healed")
    return (
        f"{lost} of {PINGS} pings lost while traffic moved from {in_use} to {other}; ports stayed"
        " ACTIVE; host2 showed `redundancy lost`"
    )


def _agent_restart(stage: Stage) -> str:
    """Kill -9 of host2's agent, and its start, under 100 pings a second."""
    with probe.pinging(
        stage.lab,
        stage.place("web1"),
        stage.made["web3"].address(),
        count=PINGS,
        interval_s=PING_INTERVAL_S,
    ) as run_:
        faults.fail(stage.lab, f"process:host2/{services.AGENT}")
        faults.heal(stage.lab, f"process:host2/{services.AGENT}")
        result = run_.finish()
    require(result.lost == 0, f"{result.lost} of {result.sent} pings lost by an agent's restart")
    require(
        processes.is_alive(processes.find(stage.lab, "host2", services.AGENT)),
        "the agent of host2 did not stay up",
    )
    return f"{result.lost} of {result.sent} pings lost"


def _deleted(stage: Stage) -> str:
    doomed = stage.made.pop("db2")
    port_id = str(doomed.port["id"])
    stage.orchestrator.end([port_id])

    def withdrawn() -> bool:
        return any(each.event == "rested" for each in stage.orchestrator.history(port_id))

    require(eventually(withdrawn, CONDITION_TIMEOUT_S), "host3 did not confirm the withdrawal")
    return f"db2 is gone, host3 confirmed; {doomed.address()} rests for 60 s before it is given out"


def _conditions(stage: Stage, host: str) -> dict[str, str]:
    found = next(each for each in stage.orchestrator.hosts() if each.name == host)
    return dict(found.conditions)


def _octets(address: str) -> bytes:
    return bytes(int(part) for part in address.split("."))


def _run_may_fail(namespace: str, argv: list[str]) -> None:
    """Run a ping that is meant to get no answer."""
    try:
        run(namespace, argv)
    except LabError:
        return


_CLAIMS = (
    Claim("Two VLAN networks with IPv4 and IPv6 subnets, gateways on the core router", _networks),
    Claim(
        "Five VM-like instances and one bare-metal host get addresses that are theirs", _instances
    ),
    Claim(
        "They meet inside their VLAN: on one host, across hosts, over IPv4, IPv6, TCP", _same_vlan
    ),
    Claim("They meet between VLANs, through the core router's gateway", _between_vlans),
    Claim("Bare metal takes part like any other", _bare_metal),
    Claim("What belongs to one VLAN is not heard in the other", _isolation),
    Claim("An instance cannot speak with an address that is not its own", _anti_spoofing),
    Claim("A NIC fails silently: traffic moves to the other one", _silent_nic),
    Claim("An agent is killed and started again: no packet is lost", _agent_restart),
    Claim("A deleted port's address is withdrawn, then rests", _deleted),
)

SCENE = Scene(
    _CLAIMS,
    (
        "lab exec {lab} mgmt -- openstack port list",
        "lab exec {lab} mgmt -- netwright port explain web1",
        "lab fail {lab} link:host1-tor1 --silent",
        "lab spawn {lab} host3 --network green",
    ),
)
