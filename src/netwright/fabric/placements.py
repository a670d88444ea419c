"""Where each attachment belongs, for verification: from the intent and what the plan refused. Pure.

live attachment          ─▶ its places, or the refusal
withdrawing attachment   ─▶ the places that must be rid of it
"""

from collections.abc import Iterable, Iterator, Mapping

from netwright.fabric.intent import Intent, is_live
from netwright.fabric.refusals import Refusal, RefusalCode
from netwright.fabric.verify import Place, Placement
from netwright.model.resources import Attachment, Network, NetworkType
from netwright.model.states import AttachmentState
from netwright.model.topology import Topology
from netwright.model.vlan_domains import host_links

_Refused = Mapping[tuple[str, str | None], tuple[Refusal, ...]]


class Placements:
    """Kept up to date; `live` and `withdrawing` are by `NETWORK@HOST`.

    What is not there is nothing that the controller could speak of: attachments of other networks
    than the fabric's, and those that are gone.
    """

    def __init__(self) -> None:
        self.live: dict[str, Placement] = {}
        self.withdrawing: dict[str, Placement] = {}
        self.on: dict[str, set[str]] = {}
        """Switch → what is placed on it, live or withdrawing."""
        self._intent = Intent()
        self._refused: _Refused = {}
        self._managed: frozenset[str] = frozenset()
        self._links: Mapping[str, tuple[tuple[str, str], ...]] = {}

    def update(
        self, intent: Intent, refusals: Iterable[Refusal], moved: Iterable[str] | None = None
    ) -> frozenset[str]:
        """The attachments whose placement has changed, come or gone.

        `moved` are those that may differ from the intent before, when the caller knows.
        """
        before, self._intent = self._intent, intent
        refused = _by_attachment(refusals)
        stale = self._stale(before, refused, moved)
        self._refused = refused
        return frozenset(subject for subject in stale if self._place(subject))

    def get(self, subject: str) -> Placement | None:
        return self.live.get(subject) or self.withdrawing.get(subject)

    def _stale(
        self, before: Intent, refused: _Refused, moved: Iterable[str] | None
    ) -> Iterable[str]:
        """What to look at again: all, when that which all depend on has changed."""
        intent = self._intent
        old, new = before.attachments, intent.attachments
        if intent.topology is not before.topology and intent.topology != before.topology:
            self._managed = frozenset(one.name for one in intent.topology.switches if one.driver)
            self._links = _leaf_ends(intent.topology)
            return new.keys() | old.keys()
        if intent.networks is not before.networks or refused != self._refused:
            return new.keys() | old.keys()
        if moved is not None:
            return moved
        every = new.keys() | old.keys()
        return {subject for subject in every if old.get(subject) is not new.get(subject)}

    def _place(self, subject: str) -> bool:
        before = self.get(subject)
        was_live = subject in self.live
        if before is not None:
            for place in before.places:
                self.on.get(place.switch, set()).discard(subject)
        self.live.pop(subject, None)
        self.withdrawing.pop(subject, None)
        attachment = self._intent.attachments.get(subject)
        after = self._placement(attachment) if attachment is not None else None
        if after is None or attachment is None:
            return before is not None
        live = is_live(attachment)
        (self.live if live else self.withdrawing)[subject] = after
        for place in after.places:
            self.on.setdefault(place.switch, set()).add(subject)
        return after != before or live is not was_live

    def _placement(self, attachment: Attachment) -> Placement | None:
        network = self._intent.networks.get(attachment.network_id)
        if not _is_ours(attachment, network):
            return None
        key = (attachment.network_id, attachment.host)
        whys = self._refused.get(key) or self._refused.get((attachment.network_id, None), ())
        places = _places(attachment, self._links)
        return Placement(
            network_id=attachment.network_id,
            host=attachment.host,
            generation=attachment.generation,
            vni=(network.segment.segmentation_id or 0) if network is not None else 0,
            places=tuple(place for place in places if place.switch in self._managed),
            refusal=" ".join(why.words for why in whys),
            is_off=any(why.code is RefusalCode.ADMIN_DOWN for why in whys),
        )


def _is_ours(attachment: Attachment, network: Network | None) -> bool:
    if is_live(attachment):
        return network is not None and network.segment.network_type is NetworkType.VXLAN
    if attachment.state is not AttachmentState.WITHDRAWING:
        return False
    return network is None or network.segment.network_type is NetworkType.VXLAN


def _by_attachment(refusals: Iterable[Refusal]) -> _Refused:
    """(network, host) → why; host None: all of the network's. Others are no attachment's."""
    found: dict[tuple[str, str | None], tuple[Refusal, ...]] = {}
    for refusal in refusals:
        if refusal.network_id is None or (refusal.host is None and refusal.switch is not None):
            continue
        if refusal.router_id is not None:  # not routed there; the network itself is planned
            continue
        key = (refusal.network_id, refusal.host)
        found[key] = (*found.get(key, ()), refusal)
    return found


def _leaf_ends(topology: Topology) -> Mapping[str, tuple[tuple[str, str], ...]]:
    """Host → the (leaf, interface)s that it hangs on."""
    found: dict[str, tuple[tuple[str, str], ...]] = {}
    for link in host_links(topology):
        if not link.peer:
            end = (link.upper.node, link.upper.interface)
            found[link.lower.node] = (*found.get(link.lower.node, ()), end)
    return found


def _places(
    attachment: Attachment, links: Mapping[str, tuple[tuple[str, str], ...]]
) -> Iterator[Place]:
    for access in attachment.access:
        yield Place(switch=access.switch, interface=access.interface, vlan=None)
    if attachment.vlan is not None:
        for switch, interface in links.get(attachment.host, ()):
            yield Place(switch=switch, interface=interface, vlan=attachment.vlan)
