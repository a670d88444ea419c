"""Whether a switch that started anew is complete, so that its host ports may come up. Pure.

it announces each of its VNIs, and has imported them from each other switch that has them:
    its sessions are up
each of those has imported them from it, heard after it was configured: not what it remembers
"""

from collections.abc import Mapping

from netwright.fabric.verify import Fabric


def asks(
    switch: str,
    fabric: Fabric,
    heard_at: Mapping[str, Mapping[int, float]],
    since: float,
) -> Mapping[str, frozenset[int]] | None:
    """None: it is complete. Else whom to ask about which VNIs, to find out whether it is.

    `heard_at`: when each switch's control plane was last asked about each VNI.
    """
    view = fabric.views.get(switch)
    if view is None or view.actual is None or switch not in fabric.wanted:
        return {}
    found: dict[str, set[int]] = {}
    for vni in fabric.wanted[switch].segments:
        peers = _peers(switch, vni, fabric)
        own = view.learned.get(vni)
        if own is None or not own.remote_vteps.issuperset(map(fabric.loopbacks.get, peers)):
            found.setdefault(switch, set()).add(vni)
        for peer in peers:
            learned = fabric.views[peer].learned.get(vni)
            is_fresh = heard_at.get(peer, {}).get(vni, 0.0) > since
            heard = learned.remote_vteps if learned is not None else frozenset()
            if not is_fresh or fabric.loopbacks.get(switch, "") not in heard:
                found.setdefault(peer, set()).add(vni)
    return {name: frozenset(vnis) for name, vnis in found.items()} or None


def _peers(switch: str, vni: int, fabric: Fabric) -> list[str]:
    """The others that answer, and have the VNI."""
    return [
        name
        for name, view in fabric.views.items()
        if name != switch and view.actual is not None and vni in view.actual.config.segments
    ]
