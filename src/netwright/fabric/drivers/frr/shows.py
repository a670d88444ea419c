"""What FRR 8.4 shows, as values. Pure; tests hold recorded outputs."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from netwright.fabric.config import RouteTargets
from netwright.model.resources import Value

SHOW_RUNNING = "show running-config"
SHOW_VNIS = "show bgp l2vpn evpn vni json"
SHOW_EVPN = "show evpn vni json"
SHOW_VRFS = "show vrf"
SHOW_VRF_VNIS = "show vrf vni json"
SHOW_SESSIONS = "show bgp l2vpn evpn summary json"

_ADDRESS = re.compile(r"^ +inet6? (\S+)", re.MULTILINE)
_ACTIVE_VRF = re.compile(r"^vrf (\S+) id \d+ netns", re.MULTILINE)


class Instance(Value, frozen=True):
    """Of a VNI or VRF: `lines` are those of its configuration that are neither RD nor target."""

    rd: str = ""
    targets: RouteTargets = RouteTargets(imports=(), exports=())
    lines: frozenset[str] = frozenset()


class BgpConfiguration(Value, frozen=True):
    """`asn` None: no BGP instance of the default VRF. `announces`: it has `advertise-all-vni`."""

    asn: int | None = None
    announces: bool = True
    vnis: Mapping[int, Instance] = {}
    vrfs: Mapping[str, Instance] = {}


def bgp_configuration(running: str) -> BgpConfiguration:
    """Of `show running-config` of bgpd."""
    asn: int | None = None
    announces = True
    vnis: dict[int, Instance] = {}
    vrfs: dict[str, Instance] = {}
    for head, lines in _blocks(running):
        words = head.split()
        if words[:2] != ["router", "bgp"]:
            continue
        if "vrf" in words:
            vrfs[words[-1]] = _instance(lines)
        elif "view" not in words:
            asn = int(words[2])
            announces = any(line.strip() == "advertise-all-vni" for line in lines)
            vnis = {vni: _instance(own) for vni, own in _vni_blocks(lines)}
    return BgpConfiguration(asn=asn, announces=announces, vnis=vnis, vrfs=vrfs)


def vnis_in_force(shown: str) -> dict[int, Instance]:
    """Of SHOW_VNIS: those that are in the kernel."""
    found = {}
    for key, value in _decode(shown).items():
        if key.isdecimal() and value.get("type") == "L2" and value.get("inKernel") == "True":
            targets = _targets(value.get("importRTs", ()), value.get("exportRTs", ()))
            found[int(key)] = Instance(rd=value.get("rd", ""), targets=targets)
    return found


def remote_vteps(shown: str) -> dict[int, frozenset[str]]:
    """Of SHOW_EVPN: to whom zebra floods, by VNI."""
    return {
        int(key): frozenset(value.get("remoteVteps", ()))
        for key, value in _decode(shown).items()
        if key.isdecimal() and value.get("type") == "L2"
    }


def active_vrfs(shown: str) -> frozenset[str]:
    """Of SHOW_VRFS: those whose namespace zebra is in."""
    return frozenset(_ACTIVE_VRF.findall(shown))


def show_interface(name: str, vrf: str) -> str:
    """What zebra is asked for an interface; `vrf` "" is the default."""
    return f"show interface {name} vrf {vrf}" if vrf else f"show interface {name}"


def is_known(shown: str) -> bool:
    """Of `show_interface`: whether zebra has heard of it."""
    return shown.startswith("Interface ")


def addresses(shown: str) -> frozenset[str]:
    """Of `show_interface`: those that zebra has heard of, with prefix lengths."""
    return frozenset(_ADDRESS.findall(shown))


def l3vnis(shown: str) -> dict[str, int]:
    """Of SHOW_VRF_VNIS: those that are up."""
    vrfs = _decode(shown).get("vrfs", ())
    return {vrf["vrf"]: vrf["vni"] for vrf in vrfs if vrf.get("state") == "Up"}


def sessions(shown: str) -> dict[str, bool]:
    """Of SHOW_SESSIONS: the neighbours for EVPN, and whether each one's session is established."""
    peers = _decode(shown).get("peers", {})
    return {name: peer.get("state") == "Established" for name, peer in sorted(peers.items())}


def interfaces_without_session(shown: str) -> list[str]:
    """Of SHOW_SESSIONS: those by which bgpd shall have a session with whoever is there."""
    peers = _decode(shown).get("peers", {})
    return sorted(
        name
        for name, peer in peers.items()
        if peer.get("idType") == "interface" and peer.get("state") != "Established"
    )


def show_neighbour(interface: str) -> str:
    """What bgpd is asked for whom it has a session with by an interface."""
    return f"show bgp neighbors {interface} json"


def has_address(shown: str, interface: str) -> bool:
    """Of `show_neighbour`: whether bgpd knows the address of the one that is there."""
    return bool(_decode(shown).get(interface, {}).get("bgpNeighborAddr", "none") != "none")


def show_interface_json(name: str) -> str:
    return f"show interface {name} json"


def neighbours_at(shown: str, interface: str) -> frozenset[str]:
    """Of `show_interface_json`: whom zebra hears there, if the interface is in operation."""
    found = _decode(shown).get(interface, {})
    is_up = found.get("operationalStatus") == "up"
    return frozenset(found.get("neighborIpAddresses", ()) if is_up else ())


def _instance(lines: list[str]) -> Instance:
    rd = ""
    imports: list[str] = []
    exports: list[str] = []
    others = set()
    family = ""
    for line in (each.strip() for each in lines):
        match line.split():
            case ["rd", value]:
                rd = value
            case ["route-target", way, *values]:
                imports += values if way in {"import", "both"} else ()
                exports += values if way in {"export", "both"} else ()
            case ["address-family", *words]:
                family = " ".join(words)
            case ["exit-address-family"]:
                family = ""
            case []:
                pass
            case _ if line != "!":
                others.add(f"{family}: {line}" if family else line)
    return Instance(rd=rd, targets=_targets(imports, exports), lines=frozenset(others))


def _blocks(running: str) -> Iterator[tuple[str, list[str]]]:
    """Top-level lines, each with what is indented below it."""
    head, lines = "", list[str]()
    for line in running.splitlines():
        if line.startswith(" "):
            lines.append(line)
        else:
            if head:
                yield head, lines
            head, lines = ("" if line.startswith(("!", "exit")) else line), []
    if head:
        yield head, lines


def _vni_blocks(lines: list[str]) -> Iterator[tuple[int, list[str]]]:
    vni: int | None = None
    own: list[str] = []
    for line in (each.strip() for each in lines):
        match line.split():
            case ["vni", number]:
                vni, own = int(number), []
            case ["exit-vni"] if vni is not None:
                yield vni, own
                vni = None
            case _:
                own.append(line)


def _targets(imports: Any, exports: Any) -> RouteTargets:
    return RouteTargets(imports=tuple(sorted(imports)), exports=tuple(sorted(exports)))


def _decode(shown: str) -> dict[str, Any]:
    """FRR answers nothing where there is nothing."""
    return dict(msgspec.json.decode(shown)) if shown.strip() else {}
