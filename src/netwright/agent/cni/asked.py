"""What a runtime asks for, as values: environment and network configuration, checked. Pure."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from netwright.agent.cni.naming import Template, TemplateError
from netwright.cni.protocol import NEWEST, SINCE, VERSIONS, CniError, Code, Request, Verb
from netwright.model.containers import SLOT, SLOTS_MAX, keep_s
from netwright.model.labels import parse_selector
from netwright.model.resources import Value
from netwright.model.wording import misfit, plain

CONTAINER_ID = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.\-]{0,127}")
INTERFACE = re.compile(r"(?!\.{1,2}$)[^\s/:]{1,15}")
KEEP = "1h"
"""How long a port with a lasting name is kept where the configuration does not say."""

BANDWIDTH = "bandwidth"
"""The one capability that is served (CNI conventions, "Dynamic Plugin specific fields")."""

CORRECT = "correct it in the network configuration"
_IN_MESSAGE_MAX = 100
_CLUSTER_LENGTH_MAX = 63
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


class Bandwidth(Value, frozen=True, kw_only=True, rename="camel"):
    """Limits, in bits a second and bits; ingress is what the container receives. 0: none."""

    ingress_rate: Annotated[int, Meta(ge=0)] = 0
    ingress_burst: Annotated[int, Meta(ge=0)] = 0
    egress_rate: Annotated[int, Meta(ge=0)] = 0
    egress_burst: Annotated[int, Meta(ge=0)] = 0


class RuntimeConfig(msgspec.Struct, frozen=True, kw_only=True):
    """What the runtime gives for the capabilities that the configuration names."""

    bandwidth: Bandwidth | None = None


class LabelArgument(msgspec.Struct, frozen=True, kw_only=True):
    key: Annotated[str, Meta(min_length=1)]
    value: str


class OurArguments(msgspec.Struct, frozen=True, kw_only=True):
    labels: tuple[LabelArgument, ...] = ()


class Arguments(msgspec.Struct, frozen=True, kw_only=True):
    """`args` of the configuration; `cni` is what all plugins may read (CNI conventions)."""

    cni: OurArguments = OurArguments()


class Configuration(
    msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True
):
    """The plugin's object in the conflist, as the runtime passes it on; other keys are refused.

    `labels` select networks: the server chooses one with free addresses. `wait_for` says what ADD
    waits for: that this host has wired the port, or that all the way is open (ACTIVE).
    `default_route` false leaves the container's default route to another interface.

    `port_name` is a template (`naming`) of the ports' unique names, which outlive their containers
    for as long as `keep` says; without it a port goes with its container. `slots` are the numbers
    that the server may put for {slot}, from 0 on. `cluster` is the field {cluster}, and the one
    that the server asks about a pod. `kubernetes` says whether pods are Kubernetes'; None: if the
    agent has it.
    """

    cni_version: str
    name: Annotated[str, Meta(min_length=1)]
    type: str = "netwright"
    labels: str | None = None
    cluster: Annotated[str, Meta(max_length=_CLUSTER_LENGTH_MAX)] = ""
    port_name: str | None = None
    slots: Annotated[int, Meta(ge=1, le=SLOTS_MAX)] | None = None
    keep: str | None = None
    kubernetes: bool | None = None
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
    runtime_config: RuntimeConfig = RuntimeConfig()
    args: Arguments = Arguments()
    disable_check: bool = False
    disable_gc: bool = msgspec.field(name="disableGC", default=False)


class Asked(Value, frozen=True, kw_only=True):
    """A request that is in order. `deadline_s` is the time that its front end still waits.

    `template` is the configuration's `port_name`, read for ADD alone.
    """

    verb: Verb
    container_id: str
    netns: str
    ifname: str
    args: Mapping[str, str]
    config: Configuration
    template: Template | None = None
    deadline_s: float

    @property
    def keep(self) -> str:
        """As `ContainerPort` has it."""
        return "" if self.template is None else self.config.keep or KEEP

    @property
    def bandwidth(self) -> Bandwidth:
        return self.config.runtime_config.bandwidth or Bandwidth()


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
    config = _configuration(request, verb, version)
    for field in _NEEDED[verb]:
        _check_variable(field, getattr(request, field))
    return Asked(
        verb=verb,
        container_id=request.container_id,
        netns=request.netns,
        ifname=request.ifname,
        args=_arguments(request.args) if verb is Verb.ADD else {},
        config=config,
        template=_template(config) if verb is Verb.ADD else None,
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


def _configuration(request: Request, verb: Verb, version: str) -> Configuration:
    try:
        config = msgspec.json.decode(request.config, type=Configuration)
    except msgspec.DecodeError as error:
        if (
            verb is Verb.DEL
        ):  # it needs nothing of it: what it spoils must not keep pods from ending
            return Configuration(cni_version=version, name="")
        if not isinstance(error, msgspec.ValidationError):
            raise CniError(
                Code.UNDECODABLE,
                f"the network configuration cannot be read: {error}",
                next="correct it there",
            ) from error
        found = misfit(error, Configuration, plain(request.config))
        why = found.said_of(found.path) if found.path else found.reason
        raise CniError(
            Code.UNSUPPORTED_FIELD if found.unknown else Code.INVALID_CONFIGURATION,
            f"the network configuration is not in order: {why}",
            next="correct it there",
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


def _template(config: Configuration) -> Template | None:
    """Of `portName`; what only goes with it, or does not fit it, is refused."""
    if config.port_name is None:
        for key, value in (("slots", config.slots), ("keep", config.keep)):
            if value is not None:
                raise _wrong(
                    f"{key} is given, and no portName: such a port has its container's own name,"
                    " and goes with it",
                    f"give portName, or leave {key} out",
                )
        return None
    shown = _shown(config.port_name)
    try:
        template = Template.parse(config.port_name)
        keep_s(config.keep or KEEP)
    except TemplateError as error:
        advice = 'write it such as "{cluster}/{namespace}/{labels.app}/{labels.ordinal}"'
        raise _wrong(f"portName is {shown}, which is no template: {error}", advice) from None
    except ValueError as error:
        raise _wrong(f"keep is not in order: {error}", CORRECT) from None
    if template.has_slot and config.slots is None:
        raise _wrong(f"portName is {shown}, and slots is not given", f"say how many {SLOT} may be")
    if not template.has_slot and config.slots is not None:
        advice = f"put {SLOT} into portName, or leave slots out"
        raise _wrong(f"slots is {config.slots}, and portName {shown} has no {SLOT}", advice)
    if template.asks_for("cluster") and not config.cluster:
        raise _wrong(f"portName is {shown}, and cluster is not given", "name the cluster by it")
    return template


def _wrong(message: str, what_next: str) -> CniError:
    return CniError(Code.INVALID_CONFIGURATION, message, next=what_next)


def _refuse_what_is_not_served(config: Configuration) -> None:
    """A container that lacks silently what it was configured for would be worse than none."""
    asked_for = (name for name, is_wanted in config.capabilities.items() if is_wanted)
    if wanted := sorted(set(asked_for) - {BANDWIDTH}):
        raise CniError(
            Code.UNSUPPORTED_FIELD,
            f"capabilities {', '.join(wanted)} are not served by this plugin",
            next="take them out of the network configuration, or give them to a plugin behind it",
        )
    limits = config.runtime_config.bandwidth or Bandwidth()
    for way, rate, burst in (
        ("ingress", limits.ingress_rate, limits.ingress_burst),
        ("egress", limits.egress_rate, limits.egress_burst),
    ):
        if burst and not rate:
            raise _wrong(
                f"runtimeConfig.bandwidth has {way}Burst {burst}, and no {way}Rate",
                f"give {way}Rate, in bits a second, or leave {way}Burst out",
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
