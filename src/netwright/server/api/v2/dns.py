"""Names of ports, networks and floating IPs in DNS, as attributes: no DNS server is told."""

import re
from collections.abc import Callable, Sequence

import msgspec
from msgspec import UNSET, UnsetType

from netwright.model.resources import FixedIp
from netwright.server.api.errors import invalid

DOMAIN = "openstacklocal."
"""Of ports that name none, as Neutron has it by default."""

_LENGTH_MAX = 255
_LABEL = re.compile(r"[a-z0-9-]{1,63}")


class DnsAssignment(msgspec.Struct, frozen=True, kw_only=True):
    """What a port's address is called."""

    ip_address: str
    hostname: str
    fqdn: str


def name(text: str) -> str:
    """A port's name, in lower case, whole with a dot at its end or not. Raises InvalidInput."""
    return _checked("dns_name", text, _LENGTH_MAX)


def relative_name(text: str) -> str:
    """A floating IP's name in its domain. Raises InvalidInput."""
    if text.endswith("."):
        raise invalid("dns_name", f"'{text}' ends with a dot: it has to be a name in dns_domain")
    return _checked("dns_name", text, _LENGTH_MAX - 3)


def domain(text: str) -> str:
    """A domain, with a dot at its end. Raises InvalidInput."""
    if text and not text.endswith("."):
        raise invalid("dns_domain", f"'{text}' has no dot at its end; did you mean '{text}.'?")
    return _checked("dns_domain", text, _LENGTH_MAX - 2)


def or_unset(check: Callable[[str], str], text: str | UnsetType) -> str | UnsetType:
    return UNSET if text is UNSET else check(text)


def assignments(
    fixed_ips: Sequence[FixedIp], dns_name: str, dns_domain: str
) -> tuple[DnsAssignment, ...]:
    """What each address of a port is called: by its name, or else by the address itself."""
    return tuple(_assignment(one.ip_address, dns_name, dns_domain or DOMAIN) for one in fixed_ips)


def _assignment(address: str, dns_name: str, dns_domain: str) -> DnsAssignment:
    if dns_name.endswith("."):
        hostname, _, _ = dns_name.partition(".")
        return DnsAssignment(ip_address=address, hostname=hostname, fqdn=dns_name)
    hostname = dns_name or "host-" + address.replace(".", "-").replace(":", "-")
    return DnsAssignment(ip_address=address, hostname=hostname, fqdn=f"{hostname}.{dns_domain}")


def _checked(attribute: str, text: str, length_max: int) -> str:
    """The text in lower case, if it is made of labels (RFC 1123, 2.1). Raises InvalidInput."""
    found = text.lower()
    if not found:
        return found
    labels = found.removesuffix(".").split(".")
    if len(found.removesuffix(".")) > length_max:
        raise invalid(attribute, f"'{text}' has more than {length_max} characters")
    for label in labels:
        if not _LABEL.fullmatch(label) or label.startswith("-") or label.endswith("-"):
            raise invalid(
                attribute,
                f"'{text}' is no name: between dots are 1 to 63 letters, digits and hyphens, no "
                "hyphen first or last",
            )
    if len(labels) > 1 and labels[-1].isdecimal():
        raise invalid(attribute, f"'{text}' is no name: its last part is a number")
    return found
