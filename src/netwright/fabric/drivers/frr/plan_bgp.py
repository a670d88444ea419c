"""bgpd's part of a VNI or VRF: lines that make what it has what it shall have. Pure."""

from netwright.fabric.config import RouteTargets
from netwright.fabric.drivers.frr.shows import Instance


def instance_lines(now: Instance | None, rd: str, targets: RouteTargets) -> list[str]:
    """None: there is none yet. What goes, goes first: an RD or target stands but once."""
    now = now or Instance()
    lines = [f"no rd {now.rd}"] if now.rd and not rd else []
    lines += [f"rd {rd}"] if rd and now.rd != rd else []
    for way in ("imports", "exports"):
        word = way.removesuffix("s")
        old, new = set(getattr(now.targets, way)), set(getattr(targets, way))
        # What comes, comes first: with none of its own bgpd falls back on a target of its making.
        lines += [f"route-target {word} {each}" for each in sorted(new - old)]
        lines += [f"no route-target {word} {each}" for each in sorted(old - new)]
    return lines
