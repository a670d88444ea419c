"""Names of ports from what pods carry: the template `portName` of a network configuration. Pure.

    {cluster}/{namespace}/{labels.app}/{labels.ordinal}

`Template.parse` reads it once; `Template.name` fills it in. Fields: {cluster}, {namespace}, {pod},
{container}, {ifname}, {labels.KEY}, {annotations.KEY}, {slot}; a KEY may hold dots and slashes.

Different fields never give one name. Of a value, letters, digits, "-", "_" and "." stay as they
are, and each other octet becomes %XX; so a value holds nothing else, and two fields must have a
character between them that no value holds, such as "/". Then a name can be read back, whatever the
values are: `tests/property/agent/test_naming.py`. {slot} stays as it is: the server puts a number
there, and no value can bring a "{".

Names of containers that have no template begin with OWN, with which no template may.
"""

import re
from collections.abc import Iterator, Mapping

from netwright.agent.cni.pods import Pod
from netwright.model.containers import SLOT
from netwright.model.resources import Value

LENGTH_MAX = 255
OWN = "@"
ORDINAL = "labels.ordinal"
POD_INDEX = "apps.kubernetes.io/pod-index"
POD_NAME = "statefulset.kubernetes.io/pod-name"
"""Labels that Kubernetes gives to pods of a StatefulSet, the first from 1.28 on."""

_SLOT = SLOT[1:-1]
_PLAIN = re.compile(r"[A-Za-z0-9._\-]")
_IN_VALUES = re.compile(r"[A-Za-z0-9._\-%]*")
_PARTS = re.compile(r"\{([^{}]*)\}|([^{}]+)|([{}])")
_LITERAL = re.compile(r"[!-z|~]+")
_SIMPLE = frozenset({"cluster", "namespace", "pod", "container", "ifname", _SLOT})
_WITH_KEY = ("labels.", "annotations.")
_KEY = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._/\-]*[A-Za-z0-9])?")
_FIELDS = (
    "{cluster}, {namespace}, {pod}, {container}, {ifname}, {labels.KEY}, {annotations.KEY}, {slot}"
)


class TemplateError(ValueError):
    """The text is no template: `str` says where and why."""


class LackingError(ValueError):
    """What is to be named lacks what the template asks for: `str` says who lacks what."""


class Field(Value, frozen=True):
    """`{…}` of a template, without its braces."""

    name: str

    @property
    def key(self) -> str:
        """The label's or annotation's; "" of other fields."""
        return self.name.partition(".")[2]

    def __str__(self) -> str:
        return f"{{{self.name}}}"


class Subject(Value, frozen=True, kw_only=True):
    """What is named: an interface of a container of a pod."""

    cluster: str
    pod: Pod
    container: str
    ifname: str

    @property
    def words(self) -> str:
        """The pod as people know it; the container where no pod is known."""
        known = "/".join(filter(None, (self.pod.namespace, self.pod.name)))
        return f"pod {known}" if self.pod.name else f"container {self.container}"


class Template(Value, frozen=True, kw_only=True):
    """`parts` are literals and fields in order; `text` is what it was read from."""

    text: str
    parts: tuple[str | Field, ...]

    @classmethod
    def parse(cls, text: str) -> "Template":
        """Raises TemplateError."""
        parts = tuple(_parts(text))
        if not any(isinstance(part, Field) and part.name != _SLOT for part in parts):
            raise TemplateError("it has no field but {slot}, so that all pods would have one name")
        if parts.count(Field(_SLOT)) > 1:
            raise TemplateError(f"it has {SLOT} more than once")
        if text.startswith(OWN):
            raise TemplateError(f"it begins with {OWN}, as names of containers without one do")
        _check_apart(parts)
        return cls(text=text, parts=parts)

    @property
    def has_slot(self) -> bool:
        return self.asks_for(_SLOT)

    def asks_for(self, field: str) -> bool:
        return Field(field) in self.parts

    def name(self, subject: Subject) -> str:
        """The name, {slot} still in it. Raises LackingError."""
        filled = "".join(self._filled(part, subject) for part in self.parts)
        if len(filled) > LENGTH_MAX:
            raise LackingError(
                f"{subject.words} would have a port name of {len(filled)} characters by portName"
                f" '{self.text}': {LENGTH_MAX} are the most"
            )
        return filled

    def _filled(self, part: str | Field, subject: Subject) -> str:
        if isinstance(part, str) or part.name == _SLOT:
            return str(part)
        if value := _value(part, subject):
            return escaped(value)
        if part.key:
            lacking = f"no {part.name.partition('s.')[0]} {part.key}"
        else:
            lacking = f"no {_LACKING.get(part.name, part.name)}"
        raise LackingError(f"{subject.words} has {lacking}, which portName '{self.text}' asks for")


_LACKING: Mapping[str, str] = {
    "cluster": "cluster (key cluster of the network configuration)",
    "namespace": "namespace (K8S_POD_NAMESPACE in CNI_ARGS)",
    "pod": "pod's name (K8S_POD_NAME in CNI_ARGS)",
}


def escaped(value: str) -> str:
    """Letters, digits, "-", "_" and "." as they are; each other octet of its UTF-8 as %XX."""
    if _IN_VALUES.fullmatch(value) and "%" not in value:
        return value
    return "".join(
        each if _PLAIN.fullmatch(each) else "".join(f"%{octet:02X}" for octet in _octets(each))
        for each in value
    )


def _octets(character: str) -> bytes:
    return character.encode("utf-8", "surrogatepass")


def _value(field: Field, subject: Subject) -> str:
    """The field's value; an empty one when there is none."""
    pod = subject.pod
    if field.name == ORDINAL and not pod.labels.get("ordinal"):
        return _ordinal(pod.labels)
    if field.key:
        held = pod.labels if field.name.startswith("labels.") else pod.annotations
        return held.get(field.key, "")
    simple = {
        "cluster": subject.cluster,
        "namespace": pod.namespace,
        "pod": pod.name,
        "container": subject.container,
        "ifname": subject.ifname,
    }
    return simple[field.name]


def _ordinal(labels: Mapping[str, str]) -> str:
    """A StatefulSet's pod's number, by what Kubernetes itself labels it with."""
    if index := labels.get(POD_INDEX):
        return index
    number = labels.get(POD_NAME, "").rpartition("-")[2]
    return number if number.isascii() and number.isdigit() else ""


def _parts(text: str) -> Iterator[str | Field]:
    if not text:
        raise TemplateError("it is empty")
    for match in _PARTS.finditer(text):
        field, literal, brace = match.groups()
        if brace:
            raise TemplateError(f"'{brace}' at character {match.start() + 1} has no other brace")
        if literal is None:
            yield _field(field)
        elif _LITERAL.fullmatch(literal):
            yield literal
        else:
            raise TemplateError(f"'{literal}' holds a space, or what is not printable ASCII")


def _field(name: str) -> Field:
    prefix = next((each for each in _WITH_KEY if name.startswith(each)), "")
    if name in _SIMPLE or (prefix and _KEY.fullmatch(name.removeprefix(prefix))):
        return Field(name)
    raise TemplateError(f"{{{name}}} is none of its fields: {_FIELDS}")


def _check_apart(parts: tuple[str | Field, ...]) -> None:
    before: Field | None = None
    between = ""
    for part in parts:
        if isinstance(part, str):
            between += part
            continue
        if before is not None and _IN_VALUES.fullmatch(between):
            raise TemplateError(
                f'{before} and {part} have nothing between them that no value can hold: put a "/"'
                " there, else two pods could have one name"
            )
        before, between = part, ""
