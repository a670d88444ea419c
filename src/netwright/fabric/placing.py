"""Where an attachment is: the leaves' interfaces that its host, or its machine, is on. Pure."""

from collections.abc import Mapping
from typing import NamedTuple

from netwright.fabric.overlays import Overlays
from netwright.fabric.refusals import Refusal, RefusalCode
from netwright.fabric.topology import FabricIndex
from netwright.model.resources import Attachment


class Place(NamedTuple):
    """An attachment on one leaf: `tagged` interfaces have it by its VLAN, `untagged` ones as is."""

    network_id: str
    host: str
    vlan: int | None = None
    tagged: tuple[str, ...] = ()
    untagged: tuple[str, ...] = ()


class Placed(NamedTuple):
    """By leaf; and why it is missing where it is."""

    places: Mapping[str, Place]
    refusals: tuple[Refusal, ...] = ()


NOWHERE = Placed({})


def place(attachment: Attachment, fabric: FabricIndex, overlays: Overlays) -> Placed:
    """Where a live attachment is to be. One of a provider network is nowhere in the fabric."""
    overlay = overlays.networks.get(attachment.network_id)
    if overlay is None:
        broken = overlays.broken.get(attachment.network_id)
        if broken is None:
            return NOWHERE
        words = f"Host {attachment.host} does not get {broken.called}: {broken.why}."
        return Placed({}, (_refusal(attachment, broken.code, words),))
    sound = fabric.sound_hosts.get(attachment.host)
    vlan = attachment.vlan
    if sound and vlan is not None and not attachment.access:  # as nearly all are
        network_id, host = attachment.network_id, attachment.host
        places: dict[str, Place] = {}
        for leaves, interfaces in sound:
            places |= dict.fromkeys(leaves, Place(network_id, host, vlan, interfaces))
        return Placed(places)
    return _Placing(attachment, fabric, overlay.called).placed()


class _Placing:
    def __init__(self, attachment: Attachment, fabric: FabricIndex, called: str) -> None:
        self._attachment, self._fabric, self._called = attachment, fabric, called
        self._refusals: list[Refusal] = []

    def placed(self) -> Placed:
        attachment = self._attachment
        if not attachment.access:
            if attachment.vlan is None:
                self._refuse(
                    RefusalCode.NO_VLAN,
                    "its attachment there has neither a VLAN nor an interface: bind a port anew",
                )
                return Placed({}, tuple(self._refusals))
            return Placed(self._tagged(attachment.vlan), tuple(self._refusals))
        places = self._untagged()
        if attachment.vlan is not None:
            for leaf, tagged in self._tagged(attachment.vlan).items():
                untagged = places[leaf].untagged if leaf in places else ()
                places[leaf] = tagged._replace(untagged=untagged)
        return Placed(places, tuple(self._refusals))

    def _tagged(self, vlan: int) -> dict[str, Place]:
        network_id, host = self._attachment.network_id, self._attachment.host
        leaves = self._fabric.hosts.get(host)
        if not leaves:
            self._refuse(
                RefusalCode.NO_LINK,
                "the inventory has no link of the host to a leaf: add it to the topology's links",
            )
            return {}
        places = {}
        for leaf, interfaces in leaves.items():
            if leaf not in self._fabric.leaves:
                self._refuse_leaf(leaf)
            elif self._fabric.is_plain(leaf, interfaces):
                places[leaf] = Place(network_id, host, vlan, interfaces)
            else:
                self._refuse_shared(leaf, interfaces)
        return places

    def _untagged(self) -> dict[str, Place]:
        network_id, host = self._attachment.network_id, self._attachment.host
        places: dict[str, Place] = {}
        for access in self._attachment.access:
            leaf, interface = access.switch, access.interface
            if leaf not in self._fabric.leaves:
                self._refuse_leaf(leaf, interface)
            elif (leaf, interface) in self._fabric.inner:
                self._refuse(
                    RefusalCode.WRONG_INTERFACE,
                    f"interface {interface} of switch {leaf} leads to another switch: correct the "
                    "port's local_link_information, or the inventory",
                    leaf,
                    interface,
                )
            else:
                before = places[leaf].untagged if leaf in places else ()
                places[leaf] = Place(network_id, host, untagged=(*before, interface))
        return places

    def _refuse_leaf(self, leaf: str, interface: str | None = None) -> None:
        at = f" (interface {interface})" if interface else ""
        switch = self._fabric.switches.get(leaf)
        if switch is None:
            code, why = RefusalCode.UNKNOWN_SWITCH, "the inventory has no such switch"
        elif leaf in self._fabric.below or any(
            each.switch == leaf for each in self._fabric.refusals
        ):
            code, why = RefusalCode.UNUSABLE_SWITCH, "that switch cannot be planned; see there"
        else:
            code, why = RefusalCode.UNKNOWN_SWITCH, f"it is no leaf but a {switch.kind} switch"
        self._refuse(code, f"it hangs on switch {leaf}{at}, but {why}", leaf, interface)

    def _refuse_shared(self, leaf: str, interfaces: tuple[str, ...]) -> None:
        for interface in interfaces:
            hosts = ", ".join(sorted(set(self._fabric.below[leaf][interface])))
            if not self._fabric.is_plain(leaf, (interface,)):
                self._refuse(
                    RefusalCode.INTERFACE_TAKEN,
                    f"the inventory has several on interface {interface} of switch {leaf} "
                    f"({hosts}): correct its links",
                    leaf,
                    interface,
                )

    def _refuse(
        self, code: RefusalCode, why: str, leaf: str | None = None, interface: str | None = None
    ) -> None:
        words = f"Host {self._attachment.host} does not get {self._called}: {why}."
        self._refusals.append(_refusal(self._attachment, code, words, leaf, interface))


def _refusal(
    attachment: Attachment,
    code: RefusalCode,
    words: str,
    leaf: str | None = None,
    interface: str | None = None,
) -> Refusal:
    return Refusal(
        code=code,
        words=words,
        network_id=attachment.network_id,
        host=attachment.host,
        switch=leaf,
        interface=interface,
    )
