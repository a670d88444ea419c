"""Whether an attachment is up: by what the leaves say, never by what was sent to them. Pure.

tuple     (leaf, interface, VLAN, VNI, VRF) read back as planned
route     the VNI's type-3 route of that leaf, with the planned route targets: by its own word
          and, where there is an observer, as it was seen announced
import    another leaf that has the VNI has imported it, when there is one

all three on every leaf of the host that lives ─▶ up
a tuple is missing, or no leaf lives            ─▶ down
a leaf refused, or the plan did                 ─▶ refused
only routes or imports are missing              ─▶ pending; up stays up by one whole leaf
"""

from collections.abc import Mapping, Sequence
from typing import TypeAlias

from netwright.fabric.config import Interface, Segment, SwitchConfig, Vrf
from netwright.fabric.elements import ElementKey
from netwright.fabric.views import View
from netwright.fabric.words import contrast
from netwright.model.resources import Value
from netwright.model.wire import ReportStatus

Observed: TypeAlias = Mapping[tuple[str, int], frozenset[str]]
"""(VTEP, VNI) → the route targets of its type-3 route (RFC 8365, 5.1.3), as an observer sees it."""


class Place(Value, frozen=True, kw_only=True):
    """A leaf's interface towards the host; `vlan` None: untagged."""

    switch: str
    interface: str
    vlan: int | None


class Placement(Value, frozen=True, kw_only=True):
    """Where an attachment belongs.

    `refusal`: why the plan has no place for it; `is_off`: since somebody wants it so.
    """

    network_id: str
    host: str
    generation: int
    vni: int
    places: tuple[Place, ...]
    refusal: str = ""
    is_off: bool = False

    @property
    def subject(self) -> str:
        return f"{self.network_id}@{self.host}"


class Fabric(Value, frozen=True, kw_only=True):
    """What verification looks at. `loopbacks`: switch → its VTEP; `observed` None: no observer.

    `lifting` are ports whose own fences are being lifted: their hosts do not wire them until then.
    """

    wanted: Mapping[str, SwitchConfig]
    views: Mapping[str, View]
    loopbacks: Mapping[str, str]
    drained: frozenset[str] = frozenset()
    lifting: frozenset[str] = frozenset()
    observed: Observed | None = None


class Verdict(Value, frozen=True, kw_only=True):
    """`status` None: pending. `ask`: (switch, VNI) whose control planes would tell more.

    `stands`: the tuple was read back wherever it belongs.
    """

    status: ReportStatus | None
    cause: str = ""
    stands: bool = False
    ask: tuple[tuple[str, int], ...] = ()


def verdict(placement: Placement, fabric: Fabric, *, was_up: bool) -> Verdict:
    """What is to be said of an attachment now."""
    if placement.refusal or not placement.places:
        return _unplanned(placement)
    if unread := [one.switch for one in placement.places if one.switch not in fabric.views]:
        return Verdict(status=None, cause=f"Switch {', '.join(unread)} was not read yet.")
    living, dead = _split(placement, fabric)
    if not living:
        cause = f"No leaf of host {placement.host} serves it: {'; '.join(dead)}."
        return Verdict(status=ReportStatus.DOWN, cause=cause)
    if refused := [why for place in living if (why := _refusal(place, placement.vni, fabric))]:
        return Verdict(status=ReportStatus.REFUSED, cause=" ".join(refused))
    not_up = ReportStatus.DOWN if was_up else None
    if missing := [why for place in living if (why := _tuple(place, placement, fabric))]:
        return Verdict(status=not_up, cause=" ".join(missing))
    routes = {place.switch: _route(place.switch, placement.vni, fabric) for place in living}
    unheard = [why for why, _ in routes.values() if why]
    ask = tuple(dict.fromkeys(one for why, asked in routes.values() if why for one in asked))
    is_up = not unheard or (was_up and len(unheard) < len(routes))
    return Verdict(
        status=ReportStatus.UP if is_up else not_up,
        cause=" ".join((*unheard, *dead)),
        stands=True,
        ask=ask,
    )


def _unplanned(placement: Placement) -> Verdict:
    cause = placement.refusal or (
        f"No switch that is configured from here carries host {placement.host}."
    )
    status = ReportStatus.DOWN if placement.is_off else ReportStatus.REFUSED
    return Verdict(status=status, cause=cause)


def withdrawn(placement: Placement, fabric: Fabric) -> Verdict:
    """Whether nothing of the attachment is on any leaf of the host: a silent one proves nothing."""
    standing = []
    for place in placement.places:
        view = fabric.views.get(place.switch)
        if view is None or view.actual is None:
            why = view.cause if view is not None else "it was not read yet"
            standing.append(f"switch {place.switch} may still have it: {why}")
        elif _still_has(view.actual.config.interfaces.get(place.interface), place, placement.vni):
            standing.append(f"{place.switch}/{place.interface} still has VNI {placement.vni}")
        elif _may_get(view, place, placement.vni):
            standing.append(f"{place.switch}/{place.interface} may get VNI {placement.vni} yet")
    if standing:
        return Verdict(status=None, cause="; ".join(standing))
    return Verdict(status=ReportStatus.WITHDRAWN)


def _split(placement: Placement, fabric: Fabric) -> tuple[Sequence[Place], Sequence[str]]:
    """The places on leaves that serve the host, and why each of the others does not.

    A leaf that holds its port down until it is complete takes nothing from what the other carries.
    """
    living, dead = [], []
    for place in placement.places:
        view = fabric.views[place.switch]
        if place.switch in fabric.drained:
            dead.append(f"switch {place.switch} is drained")
        elif view.actual is None:
            dead.append(f"switch {place.switch}: {view.cause}")
        elif _is_held(view.actual.config.interfaces.get(place.interface)):
            dead.append(f"{place.switch}/{place.interface} is held down")
        else:
            living.append(place)
    return living, dead


def _refusal(place: Place, vni: int, fabric: Fabric) -> str:
    """Why the switch refused something that the place needs; "" when it did not."""
    refusals = fabric.views[place.switch].refusals
    segment = fabric.wanted[place.switch].segments.get(vni)
    needed = [ElementKey(Interface, place.interface), ElementKey(Segment, str(vni))]
    if segment is not None and segment.vrf is not None:
        needed.append(ElementKey(Vrf, segment.vrf))
    return " ".join(
        f"Switch {place.switch}, interface {place.interface}: {refusals[key]}"
        for key in needed
        if key in refusals
    )


def _tuple(place: Place, placement: Placement, fabric: Fabric) -> str:
    """What is not read back as planned; "" when all is."""
    view, vni = fabric.views[place.switch], placement.vni
    assert view.actual is not None
    actual = view.actual.config
    if why := _segment(place.switch, placement, actual, fabric):
        return why
    where = f"{place.switch}/{place.interface}"
    interface = actual.interfaces.get(place.interface)
    if not _has(interface, place, vni):
        of = f"VLAN {place.vlan}" if place.vlan is not None else "Untagged traffic"
        return f"{of} on {where} does not lead to VNI {vni} of network {placement.network_id}."
    if view.bringing is not None and not _may_get(view, place, vni):
        return f"VNI {vni} is being taken off {where}, and comes back after that."
    if interface is not None and interface.fenced:
        wanted = fabric.wanted[place.switch].interfaces.get(place.interface, interface)
        left = {each.port_id for each in set(interface.fenced) - set(wanted.fenced)}
        if left := left - fabric.lifting:
            ports = ", ".join(sorted(left))
            return f"{where} still drops what port {ports} sends."
    return ""


def _segment(switch: str, placement: Placement, actual: SwitchConfig, fabric: Fabric) -> str:
    vni = placement.vni
    wanted, segment = fabric.wanted[switch].segments.get(vni), actual.segments.get(vni)
    if wanted is None:
        return f"Network {placement.network_id} is not planned on switch {switch} yet."
    if segment is None:
        return f"VNI {vni} of network {placement.network_id} is not on switch {switch}."
    if segment != wanted:
        return (
            f"VNI {vni} on switch {switch} is not as planned: it has {contrast(segment, wanted)}."
        )
    if wanted.vrf is not None and wanted.vrf not in actual.vrfs:
        return f"VRF {wanted.vrf} of VNI {vni} is not on switch {switch}."
    return ""


def _route(switch: str, vni: int, fabric: Fabric) -> tuple[str, Sequence[tuple[str, int]]]:
    """What is missing of the VNI's route from this switch, and who would know more."""
    wanted = fabric.wanted[switch].segments.get(vni)
    view, vtep = fabric.views.get(switch), fabric.loopbacks.get(switch, "")
    if wanted is None or view is None or view.actual is None:
        return f"VNI {vni} is not on switch {switch}.", ()
    own, exports = view.learned.get(vni), frozenset(wanted.route_targets.exports)
    if own is None:
        return f"Switch {switch} does not announce VNI {vni} yet.", ((switch, vni),)
    if own.export_targets != exports:
        said = " ".join(sorted(own.export_targets)) or "none"
        return f"Switch {switch} announces VNI {vni} with route targets {said}.", ((switch, vni),)
    if not own.import_targets >= frozenset(wanted.route_targets.imports):
        said = " ".join(sorted(own.import_targets)) or "none"
        return f"Switch {switch} imports {said} into VNI {vni}.", ((switch, vni),)
    if fabric.observed is not None:
        seen = fabric.observed.get((vtep, vni))
        if seen is None or not exports <= seen:
            targets = "no route" if seen is None else f"route targets {' '.join(sorted(seen))}"
            return f"The observer sees {targets} of VNI {vni} from {switch} ({vtep}).", ()
    return _imported(switch, vtep, vni, fabric)


def _imported(
    switch: str, vtep: str, vni: int, fabric: Fabric
) -> tuple[str, Sequence[tuple[str, int]]]:
    others = []
    for name, view in fabric.views.items():
        if name == switch or view.actual is None or vni not in view.actual.config.segments:
            continue
        learned = view.learned.get(vni)
        if learned is not None and vtep in learned.remote_vteps:
            return "", ()
        others.append(name)
    if not others:
        return "", ()
    asked = tuple((name, vni) for name in others[:2])
    return f"No other switch has imported VNI {vni} from {switch} ({vtep}) yet.", asked


def _has(interface: Interface | None, place: Place, vni: int) -> bool:
    """Whether the place is in this VNI; in any, for a network that is not known any more (0)."""
    found = _led_to(interface, place)
    return found is not None and vni in {0, found}


def _is_held(interface: Interface | None) -> bool:
    return interface is not None and interface.is_down


def _still_has(interface: Interface | None, place: Place, vni: int) -> bool:
    """As `_has`, or half of it: what of ours is broken leads to VNI 0, and is still there."""
    return _has(interface, place, vni) or _led_to(interface, place) == 0


def _led_to(interface: Interface | None, place: Place) -> int | None:
    if interface is None:
        return None
    return interface.untagged if place.vlan is None else interface.tagged.get(place.vlan)


def _may_get(view: View, place: Place, vni: int) -> bool:
    """Whether a pass that is under way puts the place into this VNI, if it is not there already."""
    config = view.bringing
    return config is not None and _has(config.interfaces.get(place.interface), place, vni)
