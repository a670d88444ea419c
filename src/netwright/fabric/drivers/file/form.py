"""A switch's configuration as YAML that people read and that is read back. Pure.

Unknown keys and wrong values are refused with their place, so an edited file is never half read.
"""

import msgspec
import yaml

from netwright.fabric.changes import Change
from netwright.fabric.config import (
    Interface,
    Route,
    Segment,
    SwitchConfig,
    VlanGateway,
    Vrf,
)
from netwright.model.resources import Value


class Document(Value, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`token` is the highest that wrote; lists are sorted, so that two files compare by line."""

    switch: str
    token: int = 0
    vrfs: tuple[Vrf, ...] = ()
    segments: tuple[Segment, ...] = ()
    interfaces: tuple[Interface, ...] = ()
    gateways: tuple[VlanGateway, ...] = ()
    routes: tuple[Route, ...] = ()


_KINDS: dict[str, type[Value]] = {
    "vrfs": Vrf,
    "segments": Segment,
    "interfaces": Interface,
    "gateways": VlanGateway,
    "routes": Route,
}


def write(document: Document) -> str:
    """Values that are as by default are left out."""
    values = msgspec.to_builtins(document)
    return yaml.safe_dump(_without_nothing(values), sort_keys=False, width=100)


def read(text: str) -> Document:
    """Raises ValueError saying where the text is wrong."""
    try:
        values = yaml.safe_load(text)
        found = msgspec.convert(values, Document, strict=False)
    except (yaml.YAMLError, msgspec.ValidationError) as error:
        raise ValueError(str(error)) from error
    for kind, known in _KINDS.items():
        names = {field.name for field in msgspec.structs.fields(known)}
        for place, element in enumerate(values.get(kind) or ()):
            if unknown := sorted(element.keys() - names):
                raise ValueError(f"unknown key {unknown[0]!r} - at `$.{kind}[{place}]`")
    return found


def document(switch: str, token: int, config: SwitchConfig) -> Document:
    return Document(
        switch=switch,
        token=token,
        vrfs=tuple(each for _, each in sorted(config.vrfs.items())),
        segments=tuple(each for _, each in sorted(config.segments.items())),
        interfaces=tuple(each for _, each in sorted(config.interfaces.items())),
        gateways=tuple(each for _, each in sorted(config.gateways.items())),
        routes=tuple(
            sorted(config.routes, key=lambda each: (each.vrf or "", each.destination, each.nexthop))
        ),
    )


def config(document: Document) -> SwitchConfig:
    return SwitchConfig(
        vrfs={each.name: each for each in document.vrfs},
        segments={each.vni: each for each in document.segments},
        interfaces={each.name: each for each in document.interfaces},
        gateways={each.key: each for each in document.gateways},
        routes=frozenset(document.routes),
    )


def changed(  # noqa: C901 (one line a kind of element)
    before: SwitchConfig, change: Change
) -> SwitchConfig:
    """The configuration after a change."""
    vrfs, segments = dict(before.vrfs), dict(before.segments)
    interfaces, gateways = dict(before.interfaces), dict(before.gateways)
    routes = set(before.routes)
    match change.before:
        case Vrf(name=name):
            vrfs.pop(name, None)
        case Segment(vni=vni):
            segments.pop(vni, None)
        case Interface(name=name):
            interfaces.pop(name, None)
        case VlanGateway() as gateway:
            gateways.pop(gateway.key, None)
        case Route() as route:
            routes.discard(route)
    match change.after:
        case Vrf() as vrf:
            vrfs[vrf.name] = vrf
        case Segment() as segment:
            segments[segment.vni] = segment
        case Interface() as interface:
            interfaces[interface.name] = interface
        case VlanGateway() as gateway:
            gateways[gateway.key] = gateway
        case Route() as route:
            routes.add(route)
    return SwitchConfig(
        vrfs=vrfs,
        segments=segments,
        interfaces=interfaces,
        gateways=gateways,
        routes=frozenset(routes),
    )


def _without_nothing(value: object) -> object:
    if isinstance(value, dict):
        return {
            key: _without_nothing(each)
            for key, each in value.items()
            if each is not None and each is not False and each != {}
        }
    if isinstance(value, list | tuple):
        return [_without_nothing(each) for each in value]
    return value
