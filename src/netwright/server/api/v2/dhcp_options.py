"""A port's own DHCP options in requests (`extra_dhcp_opts`)."""

from collections.abc import Sequence
from typing import Annotated

from msgspec import Meta, UnsetType

from netwright.server.api.errors import invalid
from netwright.server.api.v2.values import Body
from netwright.server.commands import DhcpWish

_MAY_BE_BLANK = frozenset({"router", "classless-static-route"})
"""Options that are sent without a value: dnsmasq then sends none of the kind."""

_ATTRIBUTE = "extra_dhcp_opts"
_VERSIONS = {4: 4, 6: 6, "4": 4, "6": 6}


class DhcpOptionBody(Body, frozen=True, kw_only=True):
    opt_name: Annotated[str, Meta(max_length=64)]
    opt_value: Annotated[str, Meta(max_length=255)] | None
    ip_version: int | str = 4


DhcpOptions = Annotated[tuple[DhcpOptionBody, ...], Meta(max_length=64)]


def wishes(given: Sequence[DhcpOptionBody] | UnsetType | None) -> tuple[DhcpWish, ...]:
    """The options asked for; null and none at all ask for nothing. Raises InvalidInput."""
    return tuple(map(_wish, given)) if isinstance(given, tuple) else ()


def _wish(body: DhcpOptionBody) -> DhcpWish:
    version = _VERSIONS.get(body.ip_version)
    if version is None:
        raise invalid(_ATTRIBUTE, f"'{body.ip_version}' is not in [4, 6], an ip_version")
    _check_line("opt_name", body.opt_name)
    if body.opt_value is not None and (body.opt_name not in _MAY_BE_BLANK or body.opt_value):
        _check_line("opt_value", body.opt_value)
    return DhcpWish(opt_name=body.opt_name, opt_value=body.opt_value, ip_version=version)


def _check_line(what: str, text: str) -> None:
    """Raises InvalidInput when it is no line: clients may keep it in a file as it is."""
    if not text.strip():
        raise invalid(_ATTRIBUTE, f"{what} is blank")
    if text.splitlines() != [text]:
        raise invalid(_ATTRIBUTE, f"{what} is more than one line")
