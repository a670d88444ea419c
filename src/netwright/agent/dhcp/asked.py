"""What a client asked, by whichever protocol, and its answer. Pure."""

from netwright.agent.dhcp import version4, version6
from netwright.agent.dhcp.served import Served

_IPV4 = b"\x08\x00"


def answer(served: Served, mac: bytes, frame: bytes) -> bytes | None:
    """The frame that the client behind the port is sent; None: it is not answered.

    `mac` is the port's. Raises ValueError for what cannot be read.
    """
    if frame[12:14] == _IPV4:
        return None if served.v4 is None else version4.answer(served.v4, mac, frame)
    return None if served.v6 is None else version6.answer(served.v6, mac, frame)


def unknown_options(served: Served) -> tuple[str, ...]:
    """Why options of the port's own are not sent."""
    return (
        *(() if served.v4 is None else version4.unknown_options(served.v4)),
        *(() if served.v6 is None else version6.unknown_options(served.v6)),
    )
