"""A port's allowed address pairs. Pure."""

from netwright.model.resources import AddressPair, Port
from netwright.model.security_errors import (
    AddressPairAndPortSecurityRequired,
    DuplicateAddressPairInRequest,
)
from netwright.server.commands import PairWish


def pairs_of(wishes: tuple[PairWish, ...], mac: str) -> tuple[AddressPair, ...]:
    """The pairs asked for; one without a MAC has the port's own."""
    if not wishes:
        return ()
    return tuple(
        AddressPair(ip_address=wish.ip_address, mac_address=wish.mac_address or mac)
        for wish in wishes
    )


def check_pairs(port: Port) -> None:
    """Raises what is wrong with them beside port security, or with each other."""
    if not port.allowed_address_pairs:
        return
    if not port.port_security_enabled:
        raise AddressPairAndPortSecurityRequired(
            "Port Security must be enabled in order to have allowed address pairs on a port.",
            next="set port_security_enabled, or leave the pairs out",
        )
    if len(set(port.allowed_address_pairs)) != len(port.allowed_address_pairs):
        raise DuplicateAddressPairInRequest(
            "Request contains duplicate address pair in allowed_address_pairs: one without a MAC "
            "has the port's own."
        )
