"""Whatever pods carry, two that differ in what a template asks for never have one name."""

from hypothesis import given, reject
from hypothesis import strategies as st

from netwright.agent.cni.naming import LackingError, Subject, Template, TemplateError
from netwright.agent.cni.pods import Pod

FIELDS = ("cluster", "namespace", "pod", "container", "ifname", "labels.a", "annotations.a/b")
values = st.text(st.sampled_from("ab-._/%{}:@1é2F \0\ud800"), max_size=5) | st.text(max_size=4)
literals = st.text(st.sampled_from("/ab-.%2F:@+"), max_size=4)
templates = st.lists(
    literals | st.sampled_from([f"{{{name}}}" for name in (*FIELDS, "slot")]),
    min_size=1,
    max_size=7,
).map("".join)
subjects = st.builds(
    lambda cluster, namespace, name, container, ifname, label, annotation: Subject(
        cluster=cluster,
        pod=Pod(
            namespace=namespace, name=name, labels={"a": label}, annotations={"a/b": annotation}
        ),
        container=container,
        ifname=ifname,
    ),
    *[values] * 7,
)


def asked_for(template: Template, subject: Subject) -> dict[str, str]:
    pod = subject.pod
    held = {
        "cluster": subject.cluster,
        "namespace": pod.namespace,
        "pod": pod.name,
        "container": subject.container,
        "ifname": subject.ifname,
        "labels.a": pod.labels["a"],
        "annotations.a/b": pod.annotations["a/b"],
    }
    return {field: value for field, value in held.items() if template.asks_for(field)}


def parsed(text: str) -> Template:
    try:
        return Template.parse(text)
    except TemplateError:
        reject()


@given(templates, subjects, subjects, st.integers(0, 9999), st.integers(0, 9999))
def test_different_fields_never_give_one_name(
    text: str, one: Subject, other: Subject, slot: int, other_slot: int
) -> None:
    template = parsed(text)
    asked = asked_for(template, one), asked_for(template, other)
    slots = (slot, other_slot) if template.has_slot else (0, 0)
    try:
        names = [
            template.name(each).replace("{slot}", str(number))
            for each, number in zip((one, other), slots, strict=True)
        ]
    except LackingError:
        return
    is_same = asked[0] == asked[1] and slots[0] == slots[1]
    assert (names[0] == names[1]) == is_same


@given(templates, subjects)
def test_a_name_is_printable_and_short_and_no_containers_own(text: str, one: Subject) -> None:
    template = parsed(text)
    try:
        name = template.name(one)
    except LackingError:
        return
    assert name.isascii()
    assert name.isprintable()
    assert " " not in name
    assert 1 <= len(name) <= 255
    assert not name.startswith("@")
    assert name.count("{") == name.count("{slot}") == text.count("{slot}")
