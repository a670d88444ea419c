"""Requests of runtimes: what is wrong with one is said with its code and by name."""

from typing import Any

import msgspec
import pytest
from tests.doubles.cni_host import Ask

from netwright.agent.cni import asked
from netwright.cni.protocol import SINCE, VERSIONS, CniError, Code, Request, Verb

VALID = "cni.dev/valid-attachments"
COMPLETE: dict[str, Any] = {VALID: []}
BEFORE: dict[str, Any] = {"prevResult": {"cniVersion": "1.1.0"}}


def limits(**values: Any) -> dict[str, Any]:
    return {"runtimeConfig": {"bandwidth": values}}


def complete(verb: str) -> dict[str, Any]:
    """What every verb but ADD may come with."""
    return COMPLETE if verb == "ADD" else {**COMPLETE, **BEFORE}


def refusal(ask: Ask) -> CniError:
    with pytest.raises(CniError) as refused:
        asked.parse(ask.request())
    assert refused.value.next
    return refused.value


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("verb", Verb)
def test_each_verb_is_taken_from_its_first_version_on(verb: Verb, version: str) -> None:
    ask = Ask(verb, version, config=complete(verb))
    if version < SINCE.get(verb, VERSIONS[0]):
        assert refusal(ask).code is Code.INCOMPATIBLE_VERSION
        return
    found = asked.parse(ask.request())
    assert (found.verb, found.config.cni_version) == (verb, version)
    assert (found.container_id, found.netns, found.ifname) == ("a", "/netns/a", "eth0")


@pytest.mark.parametrize("version", ["0.1.0", "0.3.0", "2.0.0", ""])
@pytest.mark.parametrize("verb", Verb)
def test_other_versions_are_refused(verb: Verb, version: str) -> None:
    error = refusal(Ask(verb, version, config=complete(verb)))
    assert error.code is Code.INCOMPATIBLE_VERSION
    assert "1.1.0" in error.next


@pytest.mark.parametrize(
    ("verb", "needed"),
    [
        ("ADD", {"container_id", "netns", "ifname"}),
        ("DEL", {"container_id", "ifname"}),
        ("CHECK", {"container_id", "netns", "ifname"}),
        ("GC", set[str]()),
        ("STATUS", set[str]()),
    ],
)
@pytest.mark.parametrize("variable", ["container_id", "netns", "ifname"])
def test_a_variable_that_is_needed_must_be_set(verb: str, needed: set[str], variable: str) -> None:
    ask = Ask(verb, environment={variable: ""}, config=complete(verb))
    if variable not in needed:
        asked.parse(ask.request())
        return
    error = refusal(ask)
    assert error.code is Code.INVALID_ENVIRONMENT
    assert error.message == f"CNI_{variable.upper().replace('_ID', 'ID')} is not set"


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("container_id", "../etc"), ("container_id", "-a"), ("container_id", "a/b"),
        ("container_id", "a" * 129), ("container_id", "a\n"), ("ifname", "."), ("ifname", ".."),
        ("ifname", "a/b"), ("ifname", "a b"), ("ifname", "a:1"), ("ifname", "e" * 16),
        ("args", "IgnoreUnknown"),
    ],
)  # fmt: skip
def test_a_variable_of_another_form_is_refused(variable: str, value: str) -> None:
    assert refusal(Ask(environment={variable: value})).code is Code.INVALID_ENVIRONMENT


@pytest.mark.parametrize(
    ("config", "code", "named"),
    [
        ({"label": "x"}, Code.UNSUPPORTED_FIELD, "there is no label (nearest: labels)"),
        ({"labels": ""}, Code.INVALID_CONFIGURATION, "labels"),
        ({"labels": "env=("}, Code.INVALID_CONFIGURATION, "labels"),
        ({"labels": 7}, Code.INVALID_CONFIGURATION, "labels"),
        ({"name": ""}, Code.INVALID_CONFIGURATION, "name"),
        (
            {"waitFor": "never"},
            Code.INVALID_CONFIGURATION,
            "waitFor is 'never', but must be one of active, underlay",
        ),
        ({"prevResult": {"ips": 7}}, Code.INVALID_CONFIGURATION, "prevResult"),
        (BEFORE, Code.INVALID_CONFIGURATION, "prevResult of another plugin"),
        ({"capabilities": {"portMappings": True}}, Code.UNSUPPORTED_FIELD, "portMappings"),
        ({"portname": "{pod}"}, Code.UNSUPPORTED_FIELD, "portname"),
        ({"portName": 7}, Code.INVALID_CONFIGURATION, "portName"),
        ({"portName": ""}, Code.INVALID_CONFIGURATION, "portName is '', which is no template"),
        ({"portName": "web"}, Code.INVALID_CONFIGURATION, "no field"),
        ({"portName": "{pod"}, Code.INVALID_CONFIGURATION, "character 1"),
        ({"portName": "{uid}"}, Code.INVALID_CONFIGURATION, "{uid}"),
        ({"portName": "{namespace}-{pod}"}, Code.INVALID_CONFIGURATION, "{namespace} and {pod}"),
        ({"portName": "{cluster}/{pod}"}, Code.INVALID_CONFIGURATION, "cluster is not given"),
        ({"portName": "a/{slot}", "slots": 3}, Code.INVALID_CONFIGURATION, "no field but {slot}"),
        ({"portName": "{pod}/{slot}"}, Code.INVALID_CONFIGURATION, "slots is not given"),
        ({"portName": "{pod}", "slots": 3}, Code.INVALID_CONFIGURATION, "has no {slot}"),
        ({"portName": "{pod}/{slot}", "slots": 0}, Code.INVALID_CONFIGURATION, "slots"),
        ({"portName": "{pod}/{slot}", "slots": 10_001}, Code.INVALID_CONFIGURATION, "slots"),
        ({"portName": "{pod}/{slot}", "slots": "3"}, Code.INVALID_CONFIGURATION, "slots"),
        ({"slots": 3}, Code.INVALID_CONFIGURATION, "slots is given, and no portName"),
        ({"keep": "1h"}, Code.INVALID_CONFIGURATION, "keep is given, and no portName"),
        ({"portName": "{pod}", "keep": "soon"}, Code.INVALID_CONFIGURATION, "keep"),
        ({"portName": "{pod}", "keep": "0s"}, Code.INVALID_CONFIGURATION, "keep"),
        ({"portName": "{pod}", "keep": 60}, Code.INVALID_CONFIGURATION, "keep"),
        ({"cluster": ["a"]}, Code.INVALID_CONFIGURATION, "cluster"),
        ({"cluster": "a" * 64}, Code.INVALID_CONFIGURATION, "cluster"),
        ({"kubernetes": "no"}, Code.INVALID_CONFIGURATION, "kubernetes"),
        ({"args": {"cni": {"labels": {"app": "web"}}}}, Code.INVALID_CONFIGURATION, "args.cni"),
        ({"args": {"cni": {"labels": [{"key": "a"}]}}}, Code.INVALID_CONFIGURATION, "value"),
        (limits(ingressRate=-1), Code.INVALID_CONFIGURATION, "ingressRate"),
        (limits(egressRate="1M"), Code.INVALID_CONFIGURATION, "egressRate"),
        (limits(egressBurst=8000), Code.INVALID_CONFIGURATION, "egressBurst 8000"),
    ],
)
def test_a_configuration_that_is_not_in_order_is_refused(
    config: dict[str, Any], code: Code, named: str
) -> None:
    error = refusal(Ask(config=config))
    assert error.code is code
    assert named in error.message


def test_what_a_verb_needs_of_the_configuration_is_asked_for() -> None:
    assert "labels" in refusal(Ask(without=("labels",))).message
    assert "prevResult" in refusal(Ask("CHECK")).message
    assert VALID in refusal(Ask("GC")).message
    asked.parse(Ask("DEL", without=("labels",)).request())


def test_what_runtimes_add_is_taken() -> None:
    config = {
        "capabilities": {"portMappings": False},
        "runtimeConfig": {"portMappings": []},
        "args": {"cni": {}},
        "disableCheck": True,
        "disableGC": True,
        "cni.dev/attachments": [],
        VALID: [{"containerID": "c", "ifname": "eth0"}],
        "prevResult": {
            "cniVersion": "1.1.0",
            "dns": {},
            "interfaces": [{"name": "x", "pciID": ""}],
        },
    }
    found = asked.parse(Ask("GC", config=config).request())
    ((attachment),) = found.config.valid_attachments or ()
    assert (attachment.container_id, attachment.ifname) == ("c", "eth0")


def test_arguments_are_pairs() -> None:
    ask = Ask(environment={"args": "IgnoreUnknown=1;K8S_POD_NAME=web-0;X=a=b"})
    assert asked.parse(ask.request()).args == {
        "IgnoreUnknown": "1",
        "K8S_POD_NAME": "web-0",
        "X": "a=b",
    }


def test_a_version_that_cannot_be_told_is_the_newest() -> None:
    for config in (b"[]", b'{"cniVersion": 7}', b"{}"):
        request = Request(command="ADD", deadline_ms=1, config=msgspec.Raw(config))
        assert asked.version_of(request) == "1.1.0"


def test_a_name_of_the_configuration_is_read_once_and_kept_for_an_hour_by_itself() -> None:
    named = {"portName": "{cluster}/{pod}/{slot}", "cluster": "c1", "slots": 10_000}
    found = asked.parse(Ask(config=named).request())
    assert found.template is not None
    assert (found.template.text, found.keep) == (named["portName"], "1h")
    for keep in ("90s", "10m", "24h", "forever", "while-owner-exists"):
        assert asked.parse(Ask(config={**named, "keep": keep}).request()).keep == keep
    assert asked.parse(Ask().request()).keep == ""


def test_limits_come_from_the_runtime() -> None:
    config = {"capabilities": {"bandwidth": True}, **limits(ingressRate=8_000_000, egressBurst=0)}
    found = asked.parse(Ask(config=config).request()).bandwidth
    assert (found.ingress_rate, found.egress_rate) == (8_000_000, 0)


SPOKEN = [
    (verb, version)
    for verb in Verb
    for version in VERSIONS
    if version >= SINCE.get(verb, VERSIONS[0])
]


@pytest.mark.parametrize(
    ("key", "value", "code"),
    [
        ("portname", "{pod}", Code.UNSUPPORTED_FIELD),
        ("port_name", "{pod}", Code.UNSUPPORTED_FIELD),
        ("portName", 7, Code.INVALID_CONFIGURATION),
        ("cluster", None, Code.INVALID_CONFIGURATION),
        ("slots", "3", Code.INVALID_CONFIGURATION),
        ("slots", -1, Code.INVALID_CONFIGURATION),
        ("keep", 3600, Code.INVALID_CONFIGURATION),
        ("kubernetes", 0, Code.INVALID_CONFIGURATION),
        ("args", {"cni": {"labels": "app=web"}}, Code.INVALID_CONFIGURATION),
        ("runtimeConfig", {"bandwidth": {"ingressRate": 1.5}}, Code.INVALID_CONFIGURATION),
    ],
)
def test_a_key_of_another_form_is_refused_by_every_verb_but_an_end_in_every_version(
    key: str, value: Any, code: Code
) -> None:
    """Whoever spoils the configuration would have pods that cannot end."""
    for verb, version in SPOKEN:
        ask = Ask(verb, version, config={**complete(verb), key: value})
        if verb is Verb.DEL:
            assert asked.parse(ask.request()).config.cni_version == version
            continue
        error = refusal(ask)
        assert (error.code, key in error.message) == (code, True), (verb, version)


@pytest.mark.parametrize(
    "config",
    [
        {"portName": "{"},
        {"portName": "{namespace}{pod}"},
        {"portName": "{cluster}/{pod}"},
        {"portName": "{pod}/{slot}"},
        {"portName": "{pod}", "keep": "soon"},
        {"slots": 3},
        {"keep": "1h"},
        {"capabilities": {"portMappings": True}},
        {"runtimeConfig": {"bandwidth": {"egressBurst": 8000}}},
    ],
)
def test_what_does_not_go_together_fails_an_add_and_nothing_else(config: dict[str, Any]) -> None:
    """Whatever a configuration has become, what was added by it is checked, ended, collected."""
    for verb, version in SPOKEN:
        ask = Ask(verb, version, config={**complete(verb), **config})
        if verb is Verb.ADD:
            refusal(ask)
        else:
            asked.parse(ask.request())


def test_text_that_is_none_is_the_configurations_fault() -> None:
    request = Ask().request()
    broken = msgspec.Raw(bytes(request.config).replace(b"pods", rb"\ud800"))
    with pytest.raises(CniError) as refused:
        asked.parse(msgspec.structs.replace(request, config=broken))
    assert (refused.value.code, bool(refused.value.next)) == (Code.UNDECODABLE, True)
