"""DHCP options that ports bring, beside what their subnets say. Pure."""

from collections.abc import Iterable

from netwright.model.resources import DhcpOption
from netwright.server.commands import DhcpWish


def dhcp_options(
    present: Iterable[DhcpOption], wishes: Iterable[DhcpWish]
) -> tuple[DhcpOption, ...]:
    """What a port has after these wishes: each is about one name and IP version, as in Neutron.

    What is not named stays; without a value it goes; the last of several counts.
    """
    options = {(one.opt_name, one.ip_version): one for one in present}
    for wish in wishes:
        key = (wish.opt_name, wish.ip_version)
        if wish.opt_value is None:
            options.pop(key, None)
        else:
            options[key] = DhcpOption(
                opt_name=wish.opt_name, opt_value=wish.opt_value, ip_version=wish.ip_version
            )
    return tuple(options.values())
