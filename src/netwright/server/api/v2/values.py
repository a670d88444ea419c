"""Forms of values that requests carry, checked and made canonical."""

import ipaddress
import re
import unicodedata
from collections import Counter
from collections.abc import Mapping
from typing import Annotated, Any, NamedTuple, TypeVar

import msgspec
from msgspec import UNSET, Meta, UnsetType

from netwright.model.errors import HTTPBadRequest
from netwright.model.labels import check_labels, parse_selector
from netwright.server.api.body import nesting_exceeds
from netwright.server.api.errors import invalid
from netwright.server.api.ids import new_id
from netwright.server.api.v2 import policy
from netwright.server.commands import Caller
from netwright.server.tags import TAGS_MAX, ordered

Name = Annotated[str, Meta(max_length=255)]
ProjectId = Annotated[str, Meta(max_length=255)]
Uuid = Annotated[
    str,
    Meta(
        pattern="^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$",
        description="a UUID in lower case",
    ),
]
Text = Annotated[str, Meta(max_length=64)]  # an address, a CIDR, a MAC; checked further below

TAG_LENGTH_MAX = 255
Tag = Annotated[str, Meta(max_length=TAG_LENGTH_MAX)]

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_MAC = re.compile(r"(?:[0-9a-fA-F]{2}[:-]){5}[0-9a-fA-F]{2}")
_PROFILE_BYTES_MAX = 4095
_HINTS_BYTES_MAX = 255

T = TypeVar("T")


class Identity(NamedTuple):
    """`is_chosen`: the caller chose the id, which something may have already."""

    id: str
    tags: tuple[str, ...]
    is_chosen: bool


class Body(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The base of what requests carry."""


class HandedOver(Body, frozen=True, kw_only=True):
    """That another service owns what is made: the id that it has there, and tags that say so."""

    id: Uuid
    tags: Annotated[tuple[Tag, ...], Meta(max_length=TAGS_MAX)] = ()


def identity(handed_over: HandedOver | UnsetType | None) -> Identity:
    """The id and the tags of what is to be made: the owner's, or an id of our own."""
    if handed_over is UNSET or handed_over is None:
        return Identity(new_id(), (), is_chosen=False)
    return Identity(handed_over.id, tags(handed_over.tags), is_chosen=True)


def is_uuid(text: str) -> bool:
    return _UUID.fullmatch(text) is not None


def or_default(value: T | UnsetType | None, default: T) -> T:
    """The value, or the default where it was left out or null."""
    return default if value is None or value is UNSET else value


def or_unset(value: T | UnsetType | None, when_null: T) -> T | UnsetType:
    """The value; null means this one; left out stays UNSET."""
    return when_null if value is None else value


def address(attribute: str, text: str) -> str:
    """An IP address in canonical form (RFC 5952); raises InvalidInput."""
    return str(ip(attribute, text))


def ip(attribute: str, text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    try:
        value = ipaddress.ip_address(text)
    except ValueError:
        raise invalid(attribute, f"'{text}' is not a valid IP address") from None
    if value.version == 6 and value.scope_id is not None:  # noqa: PLR2004
        raise invalid(attribute, f"'{text}' has a zone, which means nothing on another machine")
    return value


def cidr(
    attribute: str, text: str, *, strict: bool = True
) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    """A prefix with no host bits set; they are let go if not `strict`. Raises InvalidInput."""
    try:
        value = ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise invalid(attribute, f"'{text}' is not a valid IP subnet") from None
    if "/" not in text or not text.partition("/")[2].isdecimal():
        raise invalid(attribute, f"'{text}' has no prefix length; write '{value}'")
    if strict and ipaddress.ip_address(text.partition("/")[0]) != value.network_address:
        raise invalid(attribute, f"'{text}' has host bits set; did you mean '{value}'?")
    return value


def address_or_cidr(attribute: str, text: str) -> str:
    """An address, or a prefix, in canonical form; a prefix of one address is that address."""
    if "/" not in text:
        return address(attribute, text)
    prefix = cidr(attribute, text)
    return str(prefix.network_address if prefix.num_addresses == 1 else prefix)


def check_name(attribute: str, text: str) -> None:
    """A name is printable, and has no space around it, as Neutron's; raises InvalidInput."""
    is_shown = text.isprintable() or all(map(_is_printable, text))
    if not is_shown or text[:1].isspace() or text[-1:].isspace():
        raise invalid(attribute, f"{text!r} is not a valid string: it has what is not seen")


def _is_printable(character: str) -> bool:
    return character.isprintable() or unicodedata.category(character) == "Zs"


def unicast(attribute: str, text: str) -> str:
    """As `address_or_cidr`, of which none is a group's."""
    found = address_or_cidr(attribute, text)
    if ipaddress.ip_network(found).is_multicast:
        raise invalid(attribute, f"'{text}' is multicast: nobody sends from there")
    return found


def mac(attribute: str, text: str) -> str:
    """A MAC of one station, lower case with colons; raises InvalidInput."""
    if not _MAC.fullmatch(text):
        raise invalid(attribute, f"'{text}' is not a valid MAC address")
    canonical = text.lower().replace("-", ":")
    if canonical == "00:00:00:00:00:00" or int(canonical[:2], 16) & 1:
        raise invalid(attribute, f"'{text}' is no address of a single station")
    return canonical


def labels(attribute: str, value: Mapping[str, str]) -> Mapping[str, str]:
    """Labels in Kubernetes' syntax; raises InvalidInput."""
    try:
        check_labels(value)
    except ValueError as error:
        raise invalid(attribute, str(error)) from None
    return value


def selector(attribute: str, text: str) -> str:
    """A label selector in Kubernetes' syntax, in one form whatever its spelling."""
    try:
        return str(parse_selector(text))
    except ValueError as error:
        raise invalid(attribute, str(error)) from None


def profile(attribute: str, value: Mapping[str, Any]) -> Mapping[str, Any]:
    """A binding profile: any small JSON object."""
    if nesting_exceeds(value):
        raise invalid(attribute, "it is nested too deeply")
    if value and len(msgspec.json.encode(value)) > _PROFILE_BYTES_MAX:
        raise invalid(attribute, f"it is longer than {_PROFILE_BYTES_MAX} bytes of JSON")
    return value


def tags(given: tuple[str, ...]) -> tuple[str, ...]:
    """The tags in order; raises InvalidInput when one is there twice, or too many are."""
    if not given:
        return ()
    if len(set(given)) != len(given):
        twice = {tag for tag, times in Counter(given).items() if times > 1}
        raise invalid("tags", f"Duplicate items in the list: '{', '.join(sorted(twice))}'")
    return ordered(set(given))


def zone_hints(given: tuple[str, ...]) -> tuple[str, ...]:
    """Zones, each once, in the order given; raises InvalidInput."""
    if len(set(given)) != len(given):
        raise invalid("availability_zone_hints", "a zone is in it twice")
    if len(msgspec.json.encode(given)) > _HINTS_BYTES_MAX:
        raise invalid("availability_zone_hints", "there are too many of them")
    return given


def project_of(caller: Caller, project_id: str | UnsetType, tenant_id: str | UnsetType) -> str:
    """The project of a new resource: the named one, by either of its names, or the caller's."""
    if project_id and tenant_id and project_id != tenant_id:
        raise HTTPBadRequest("'project_id' and 'tenant_id' do not match")
    project = project_id or tenant_id or caller.project_id
    policy.require_own_project(caller, project)
    return project
