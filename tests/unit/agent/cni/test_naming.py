"""Names of ports: what a template makes of a pod, and what is wrong with one, by name."""

from typing import Any

import pytest

from netwright.agent.cni.naming import LackingError, Subject, Template, TemplateError
from netwright.agent.cni.pods import Pod


def subject(**pod: Any) -> Subject:
    labels = {"app": "web", "app.kubernetes.io/name": "front", **pod.pop("labels", {})}
    known = {"namespace": "shop", "name": "web-0", "labels": labels, **pod}
    return Subject(cluster="c1", pod=Pod(**known), container="f00", ifname="eth0")


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("{cluster}/{namespace}/{pod}", "c1/shop/web-0"),
        ("{labels.app}", "web"),
        ("{labels.app.kubernetes.io/name}:{ifname}", "front:eth0"),
        ("x-{container}-y", "x-f00-y"),
        ("{annotations.rack}/a/{namespace}", "r1%2Fu3%20%C3%A9%7Bslot%7D/a/shop"),
        ("{cluster}/{labels.app}/{slot}", "c1/web/{slot}"),
    ],
)
def test_a_template_is_filled_in(text: str, name: str) -> None:
    annotations = {"rack": "r1/u3 é{slot}"}
    assert Template.parse(text).name(subject(annotations=annotations)) == name


@pytest.mark.parametrize(
    ("labels", "name"),
    [
        ({"apps.kubernetes.io/pod-index": "4"}, "4"),
        ({"statefulset.kubernetes.io/pod-name": "web-12"}, "12"),
        ({"ordinal": "7", "apps.kubernetes.io/pod-index": "4"}, "7"),
    ],
)
def test_a_stateful_sets_pod_has_its_number_for_an_ordinal(
    labels: dict[str, str], name: str
) -> None:
    assert Template.parse("{labels.ordinal}").name(subject(labels=labels)) == name


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "empty"),
        ("web", "no field"),
        ("{slot}", "no field but {slot}"),
        ("{slot}/{pod}/{slot}", "more than once"),
        ("{pod}/}", "'}' at character 7"),
        ("{{pod}}", "'{' at character 1"),
        ("{}", "{} is none of its fields"),
        ("{labels.}", "{labels.} is none"),
        ("{labels.a b}", "none of its fields"),
        ("{pod} x", "space"),
        ("é{pod}", "not printable ASCII"),
        ("@{pod}/a", "begins with @"),
        ("{namespace}{pod}", "{namespace} and {pod} have nothing between them"),
        ("{labels.app}-v.1_{slot}", "{labels.app} and {slot} have nothing"),
        ("{labels.app}%{pod}", "have nothing between them"),
    ],
)
def test_what_is_no_template_is_refused_with_the_place(text: str, said: str) -> None:
    with pytest.raises(TemplateError) as refused:
        Template.parse(text)
    assert said in str(refused.value)


def test_what_a_pod_lacks_is_named_with_pod_label_and_template() -> None:
    text = "{namespace}/{labels.tier}"
    with pytest.raises(LackingError) as refused:
        Template.parse(text).name(subject())
    assert str(refused.value) == (
        f"pod shop/web-0 has no label tier, which portName '{text}' asks for"
    )
    with pytest.raises(LackingError, match="no annotation a/b,"):
        Template.parse("{annotations.a/b}").name(subject())
    with pytest.raises(LackingError, match=r"^container f00 has no pod's name \(K8S_POD_NAME"):
        Template.parse("{pod}").name(subject(name=""))
    with pytest.raises(LackingError, match="no label app,"):  # an empty one names nobody
        Template.parse("{labels.app}").name(subject(labels={"app": ""}))
    with pytest.raises(LackingError, match="no label ordinal,"):
        Template.parse("{labels.ordinal}").name(subject(labels={"ordinal": ""}))


def test_a_name_is_no_longer_than_the_server_takes() -> None:
    template = Template.parse("{annotations.a}/{slot}")
    long = {"a": "x" * 248}
    assert len(template.name(subject(annotations=long))) == 255
    with pytest.raises(LackingError, match="256 characters"):
        template.name(subject(annotations={"a": "x" * 249}))
