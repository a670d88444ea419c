"""What the vxlan of a network learns from frames, before EVPN tells of it (ADR 38). Pure."""

from netwright.fabric.config import AnycastGateway


def learns(gateway: AnycastGateway | None) -> bool:
    """Whether it does: not where leaves are gateways.

    All of them speak with one MAC there, in asymmetric routing with each packet that they route. It
    would move to whichever end the last one came from, and zebra would be told of each move.
    """
    return gateway is None
