"""What a runtime asks for, as values: environment and network configuration, checked. Pure."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from netwright.cni.protocol import NEWEST, SINCE, VERSIONS, CniError, Code, Request, Verb
from netwright.model.labels import parse_selector
from netwright.model.resources import Value

CONTAINER_ID = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.\-]{0,127}")
INTERFACE = re.compile(r"(?!\.{1,2}$)[^\s/:]{1,15}")
_IN_MESSAGE_MAX = 100
_NEEDED: Mapping[Verb, tuple[str, ...]] = {
    Verb.ADD: ("container_id", "netns", "ifname"),
    Verb.DEL: ("container_id", "ifname"),
    Verb.CHECK: ("container_id", "netns", "ifname"),
    Verb.GC: (),
    Verb.STATUS: (),
}
_VARIABLE = {"container_id": "CNI_CONTAINERID", "netns": "CNI_NETNS", "ifname": "CNI_IFNAME"}


class Interface(Value, frozen=True, kw_only=True):
    """One of a result's interfaces."""

    name: str
    mac: str = ""
    mtu: int = 0
    sandbox: str = ""


class Ip(Value, frozen=True, kw_only=True):
    address: str
    gateway: str = ""
    interface: int | None = None


class Route(Value, frozen=True, kw_only=True):
    dst: str
    gw: str = ""


class Result(Value, frozen=True, kw_only=True):
    """What ADD has made, as the runtime gives it back (`prevResult`)."""

    interfaces: tuple[Interface, ...] = ()
    ips: tuple[Ip, ...] = ()
    routes: tuple[Route, ...] = ()


class ValidAttachment(msgspec.Struct, frozen=True, rename="camel"):
    container_id: Annotated[str, Meta(min_length=1)] = msgspec.field(name="containerID")
    ifname: str


class Configuration(
    msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True
):
    """The plugin's object in the conflist, as the runtime passes it on; other keys are refused.

    `labels` select networks: the server chooses one with free addresses. `wait_for` says what ADD
    waits for: that this host has wired the port, or that all the way is open (ACTIVE).
    `default_route` false leaves the container's default route to another interface.
    """

    cni_version: str
    name: Annotated[str, Meta(min_length=1)]
    type: str = "netwright"
    labels: str | None = None
    wait_for: Literal["underlay", "active"] = "underlay"
    default_route: bool = True
    agent_socket: str = ""
    deadline_seconds: int = 0
    prev_result: Result | None = None
    valid_attachments: tuple[ValidAttachment, ...] | None = msgspec.field(
        name="cni.dev/valid-attachments", default=None
    )
    attachments: Any = msgspec.field(name="cni.dev/attachments", default=None)
    capabilities: Mapping[str, bool] = {}
    runtime_config: Mapping[str, Any] = {}
    args: Mapping[str, Any] = {}
    disable_check: bool = False
    disable_gc: bool = msgspec.field(name="disableGC", default=False)


class Asked(Value, frozen=True, kw_only=True):
    """A request that is in order. `deadline_s` is the time that its front end still waits."""

    verb: Verb
    container_id: str
    netns: str
    ifname: str
    args: Mapping[str, str]
    config: Configuration
    deadline_s: float


def version_of(request: Request) -> str:
    """The version that the request is in, as far as it can be told."""
    try:
        found = msgspec.json.decode(request.config, type=dict[str, Any]).get("cniVersion")
    except msgspec.DecodeError:
        return NEWEST
    return found if isinstance(found, str) else NEWEST


def parse(request: Request) -> Asked:
    """Raises CniError, which names the variable or key that is wrong."""
    version = version_of(request)
    if version not in VERSIONS:
        raise CniError(
            Code.INCOMPATIBLE_VERSION,
            f"cniVersion {_shown(version)} is not spoken here",
            next=f"name one of {', '.join(VERSIONS)} in the network configuration",
        )
    verb = _verb(request.command, version)
    config = _configuration(request, verb)
    for field in _NEEDED[verb]:
        _check_variable(field, getattr(request, field))
    return Asked(
        verb=verb,
        container_id=request.container_id,
        netns=request.netns,
        ifname=request.ifname,
        args=_arguments(request.args) if verb is Verb.ADD else {},
        config=config,
        deadline_s=request.deadline_ms / 1000,
    )


def _verb(command: str, version: str) -> Verb:
    try:
        verb = Verb(command)
    except ValueError:
        raise CniError(
            Code.INVALID_ENVIRONMENT,
            f"CNI_COMMAND is {_shown(command)}, which is no verb of CNI",
            next=f"the verbs are {', '.join(Verb)}",
        ) from None
    since = SINCE.get(verb, VERSIONS[0])
    if VERSIONS.index(version) < VERSIONS.index(since):
        raise CniError(
            Code.INCOMPATIBLE_VERSION,
            f"cniVersion {version} has no {verb}",
            next=f"name {since} or newer in the network configuration",
        )
    return verb


def _configuration(request: Request, verb: Verb) -> Configuration:
    try:
        config = msgspec.json.decode(request.config, type=Configuration)
    except msgspec.ValidationError as error:
        code = (
            Code.UNSUPPORTED_FIELD if "unknown field" in str(error) else Code.INVALID_CONFIGURATION
        )
        raise CniError(
            code, f"the network configuration is not in order: {error}", next="correct it there"
        ) from error
    if verb is Verb.ADD:
        _check_labels(config.labels)
        _refuse_what_is_not_served(config)
    if verb is Verb.CHECK and config.prev_result is None:
        raise CniError(
            Code.INVALID_CONFIGURATION,
            "CHECK needs prevResult, and the configuration has none",
            next="the runtime passes on what ADD answered",
        )
    if verb is Verb.GC and config.valid_attachments is None:
        raise CniError(
            Code.INVALID_CONFIGURATION,
            "GC needs cni.dev/valid-attachments, and the configuration has none",
            next="the runtime lists the attachments that it knows; an empty list ends all",
        )
    return config


def _refuse_what_is_not_served(config: Configuration) -> None:
    """A container that lacks silently what it was configured for would be worse than none."""
    if wanted := sorted(name for name, is_wanted in config.capabilities.items() if is_wanted):
        raise CniError(
            Code.UNSUPPORTED_FIELD,
            f"capabilities {', '.join(wanted)} are not served by this plugin",
            next="take them out of the network configuration",
        )
    if config.prev_result is not None:
        raise CniError(
            Code.INVALID_CONFIGURATION,
            "ADD comes with the prevResult of another plugin",
            next="make this plugin the first of its conflist: it is the one that makes interfaces",
        )


def _check_labels(labels: str | None) -> None:
    advice = 'give a selector of network labels, such as "labels": "env=prod,tier in (web)"'
    if not labels:
        raise CniError(
            Code.INVALID_CONFIGURATION, "the network configuration has no labels", next=advice
        )
    try:
        parse_selector(labels)
    except ValueError as error:
        raise CniError(
            Code.INVALID_CONFIGURATION,
            f"labels is {_shown(labels)}, which is no selector: {error}",
            next=advice,
        ) from None


def _check_variable(field: str, value: str) -> None:
    form = {"container_id": CONTAINER_ID, "ifname": INTERFACE}.get(field)
    if value and (form is None or form.fullmatch(value)) and "\0" not in value:
        return
    raise CniError(
        Code.INVALID_ENVIRONMENT,
        f"{_VARIABLE[field]} is {_shown(value)}" if value else f"{_VARIABLE[field]} is not set",
        next="the runtime gives it in the specification's form: it is at fault",
    )


def _arguments(text: str) -> Mapping[str, str]:
    """CNI_ARGS: `KEY=VALUE;KEY2=VALUE2`."""
    found: dict[str, str] = {}
    for pair in filter(None, text.split(";")):
        key, is_pair, value = pair.partition("=")
        if not is_pair:
            raise CniError(
                Code.INVALID_ENVIRONMENT,
                f"CNI_ARGS has {_shown(pair)}, which is no KEY=VALUE",
                next="separate pairs by semicolons",
            )
        found[key] = value
    return found


def _shown(text: str) -> str:
    return repr(text[:_IN_MESSAGE_MAX])
