"""The lease's token on a Linux switch: the highest that a controller has left there (law 3).

    bridge `netwright`, down and without ports ─ alternative names netwright-token-17 …

A name is added to the others, at once. So where two controllers have looked and then write, neither
lowers what the other has left, in whatever order: the kernel has no way to compare and set.
"""

import errno

from netwright.fabric.drivers.base import OvertakenError
from netwright.fabric.drivers.linux import marks
from netwright.linux import links
from netwright.linux.links import Link
from netwright.linux.netlink import Netlink, RefusedError

_NAME = f"{marks.MARK}-token-"
_MTU = 1500


def kept(netlink: Netlink) -> int:
    """0: none was there."""
    link = _bridge(netlink)
    return _highest(link) if link is not None else 0


def keep(netlink: Netlink, token: int) -> int:
    """Leave it there; which is the highest then."""
    link = _bridge(netlink)
    if link is None:
        made = links.add_bridge(marks.TOKEN_LINK, None, _MTU)
        netlink.tell([made, links.mark(marks.TOKEN_LINK, marks.write())])
        link = _bridge(netlink)
    if link is None:
        raise RefusedError(errno.ENODEV, f"the bridge {marks.TOKEN_LINK} is gone again")
    _name(netlink, link, token, add=True, but=errno.EEXIST)
    link = _bridge(netlink) or link
    highest = _highest(link)
    for lower in _numbers(link) - {highest}:
        _name(netlink, link, lower, add=False, but=errno.ENOENT)
    return highest


def hold(netlink: Netlink, token: int, switch: str) -> None:
    """Before a change: raises OvertakenError when a higher one was there, else leaves it there."""
    highest = kept(netlink)
    if highest < token:
        highest = keep(netlink, token)
    if highest > token:
        raise OvertakenError(
            f"switch {switch} was written to by a newer controller (token {highest}, ours is "
            f"{token}): this one changes nothing more; it waits for the lease."
        )


def _bridge(netlink: Netlink) -> Link | None:
    body = netlink.get(links.get_link(marks.TOKEN_LINK))
    return links.parse_link(body) if body is not None else None


def _highest(link: Link) -> int:
    """An earlier release left one as the bridge's mark."""
    marked = marks.read_number(marks.read(link.alias), "token") or 0
    return max({marked, *_numbers(link)})


def _numbers(link: Link) -> set[int]:
    found = (name.removeprefix(_NAME) for name in link.alternative_names if name.startswith(_NAME))
    return {int(number) for number in found if number.isdecimal()}


def _name(netlink: Netlink, link: Link, token: int, *, add: bool, but: int) -> None:
    """`but` is how it fails when another was faster."""
    try:
        netlink.tell([links.change_alternative_name(link.index, f"{_NAME}{token}", add=add)])
    except RefusedError as error:
        if error.errno != but:
            raise
