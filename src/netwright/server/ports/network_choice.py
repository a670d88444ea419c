"""Which network a port gets that names labels instead of one.

    matching networks, how full each is (a count, seconds old) ─▶ the least filled is tried
      ─▶ full after all ─▶ others ─▶ all are counted anew ─▶ those that are not full ─▶ refused

The project's own networks and shared ones are asked. Spreading is by fill, so that a network with
twice the addresses gets twice the ports. The counts are hints; what an address's key says decides.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from netwright.ipam.fill import NOTHING
from netwright.ipam.resting import Exhausted
from netwright.model.container_errors import OutsideDriftDomain
from netwright.model.errors import NetwrightError, NoNetworkForLabels
from netwright.model.labels import parse_selector
from netwright.model.resources import Network, Port
from netwright.server.commands import PortDraft
from netwright.server.world import World

_NAMED_MAX = 20


class LabelWish(NamedTuple):
    """A selector's text, and the project among whose networks it selects."""

    project_id: str
    selector: str


def wish_of(draft: PortDraft) -> LabelWish:
    return LabelWish(draft.project_id, draft.network_labels)


class NeedsChoice(Exception):
    """The networks chosen so far are full: choose another, load what the draft needs there, go on.

    Without another the draft is `unplaced` afterwards.
    """

    def __init__(self, draft: PortDraft) -> None:
        super().__init__(f"another network matching {draft.network_labels} is needed")
        self.draft = draft


def create_where_free(world: World, draft: PortDraft, create: Callable[[Network], Port]) -> Port:
    """What `create` makes in the least filled network that has an address for it.

    Or where a container's host is in its drift domain. Raises NoNetworkForLabels, NeedsChoice,
    OutsideDriftDomain where nothing else is in the way, and what `create` does but Exhausted.
    """
    why: dict[str, Exhausted | OutsideDriftDomain] = {}
    for network in _chosen(world, draft):
        try:
            with world.trial():
                return create(network)
        except (Exhausted, OutsideDriftDomain) as error:
            why[network.id] = error
    if draft.id not in world.unplaced:
        raise NeedsChoice(draft)
    outside = [error for error in why.values() if isinstance(error, OutsideDriftDomain)]
    if outside and len(outside) == len(why):
        raise outside[0]
    raise _refusal(world, wish_of(draft), why)


def _chosen(world: World, draft: PortDraft) -> Iterator[Network]:
    wish = wish_of(draft)
    for network_id in world.choices.get(draft.id, ()):
        if network := _serving(world, wish, network_id):
            yield network


def _serving(world: World, wish: LabelWish, network_id: str) -> Network | None:
    """The network, unless a command before this one has changed it."""
    network = world.networks.get(network_id)
    if network is None or not (network.shared or network.project_id == wish.project_id):
        return None
    return network if parse_selector(wish.selector).matches(network.labels) else None


def _refusal(
    world: World, wish: LabelWish, tried: Mapping[str, NetwrightError]
) -> NoNetworkForLabels:
    matching = world.matches[wish]
    if not matching:
        return NoNetworkForLabels(
            f"No network that project {wish.project_id} may use has labels that match "
            f"'{wish.selector}'.",
            next="label one: PUT /v2.0/networks/ID with labels; the project's own networks and "
            "shared ones are asked",
        )
    named = sorted(matching.items(), key=lambda each: (each[1], each[0]))
    said = [_words(world, *each, tried) for each in named[:_NAMED_MAX]]
    more = f"; and {len(named) - _NAMED_MAX} more" if len(named) > _NAMED_MAX else ""
    return NoNetworkForLabels(
        f"None of the {len(matching)} networks that match '{wish.selector}' has a free address: "
        f"{'; '.join(said)}{more}.",
        next="label another network, widen allocation pools, or delete ports",
    )


def _words(world: World, network_id: str, name: str, tried: Mapping[str, NetwrightError]) -> str:
    fill = world.fills.get(network_id, NOTHING)
    if network_id in tried and not fill.is_full:  # of another IP version than was counted
        return f"{name} ({network_id}): {tried[network_id].message.rstrip('.')}"
    return f"{name} ({network_id}): {fill.words(world.now)}"
