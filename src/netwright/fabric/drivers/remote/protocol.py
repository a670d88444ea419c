"""What a controller and the program on a switch say to each other: lines of JSON. Pure.

    switch      greeting                                    once, at first
    controller  read | apply | learned, each with an id     one after another
                an empty line                               a beat: it is still there
    switch      answer | failed, with the call's id
                changed                                     something on it may be different now
                goodbye                                     why it ends

An element goes by the name of its kind, `{"segment": {…}}`. Both ends must know the same fields:
the greeting tells the values' form, since a field that one end does not know would be lost unseen.
"""

import hashlib
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, TypeAlias, TypeVar

import msgspec

from netwright.fabric.changes import Change, Element, Verb
from netwright.fabric.config import Interface, Route, Segment, VlanGateway, Vrf
from netwright.fabric.drivers.base import Actual, Learned
from netwright.model.resources import Value

T = TypeVar("T")

LINE_BYTES_MAX = 64 * 1024 * 1024
"""A switch with 2,000 VNIs, all on each of 48 ports, is read in 1.8 MB."""

BEAT = b"\n"
BEAT_S = 2.0
SILENCE_S_MAX = 10.0
"""A controller that is not heard for so long is gone or halted; back, it connects anew."""


class ProtocolError(ValueError):
    """The other end said what is not of the protocol; the text has its beginning."""


class Read(Value, frozen=True, kw_only=True, tag="read", tag_field="call"):
    id: int


class Apply(Value, frozen=True, kw_only=True, tag="apply", tag_field="call"):
    id: int
    changes: tuple["ChangeForm", ...]
    token: int


class Learn(Value, frozen=True, kw_only=True, tag="learned", tag_field="call"):
    id: int
    vnis: tuple[int, ...]


class Greeting(Value, frozen=True, kw_only=True, tag="greeting", tag_field="say"):
    form: str
    release: str


class Answer(Value, frozen=True, kw_only=True, tag="answer", tag_field="say"):
    """`actual` answers read, `learned` the call of that name; apply has neither."""

    id: int
    actual: Actual | None = None
    learned: tuple[Learned, ...] = ()


class Failed(Value, frozen=True, kw_only=True, tag="failed", tag_field="say"):
    """A DeviceError there, or an OvertakenError."""

    id: int
    message: str
    is_overtaken: bool = False


class Changed(Value, frozen=True, kw_only=True, tag="changed", tag_field="say"):
    pass


class Goodbye(Value, frozen=True, kw_only=True, tag="goodbye", tag_field="say"):
    why: str


class ElementForm(Value, frozen=True, kw_only=True, omit_defaults=True):
    """One of these."""

    vrf: Vrf | None = None
    segment: Segment | None = None
    interface: Interface | None = None
    gateway: VlanGateway | None = None
    route: Route | None = None


class ChangeForm(Value, frozen=True, kw_only=True, omit_defaults=True):
    verb: Verb
    before: ElementForm | None = None
    after: ElementForm | None = None


Call: TypeAlias = Read | Apply | Learn
Word: TypeAlias = Greeting | Answer | Failed | Changed | Goodbye

_KINDS: Mapping[type[Value], str] = {
    Vrf: "vrf",
    Segment: "segment",
    Interface: "interface",
    VlanGateway: "gateway",
    Route: "route",
}


def line(said: Call | Word) -> bytes:
    return msgspec.json.encode(said) + b"\n"


def call(said: bytes) -> Call:
    """What the controller asks. Raises ProtocolError."""
    return _decoded(said, _CALLS)


def word(said: bytes) -> Word:
    """What the switch says. Raises ProtocolError."""
    return _decoded(said, _WORDS)


def forms(changes: Sequence[Change]) -> tuple[ChangeForm, ...]:
    return tuple(
        ChangeForm(verb=each.verb, before=_form(each.before), after=_form(each.after))
        for each in changes
    )


def changes(forms: Sequence[ChangeForm]) -> tuple[Change, ...]:
    """Raises ProtocolError."""
    return tuple(
        Change(verb=each.verb, before=_element(each.before), after=_element(each.after))
        for each in forms
    )


@cache
def form() -> str:
    """Names the protocol: all that either end may say, with every field of the values in it."""
    _, components = msgspec.json.schema_components((Call, Word))
    meant = msgspec.json.encode(_without_words(components), order="sorted")
    return hashlib.sha256(meant).hexdigest()[:16]


def _without_words(schema: Any) -> Any:
    """What is written about the values does not change them."""
    if isinstance(schema, dict):
        return {key: _without_words(each) for key, each in schema.items() if key != "description"}
    return [_without_words(each) for each in schema] if isinstance(schema, list) else schema


def _form(element: Element | None) -> ElementForm | None:
    return None if element is None else ElementForm(**{_KINDS[type(element)]: element})  # type: ignore[arg-type]


def _element(form: ElementForm | None) -> Element | None:
    if form is None:
        return None
    given = [form.vrf, form.segment, form.interface, form.gateway, form.route]
    found = [each for each in given if each is not None]
    if len(found) != 1:
        msg = f"an element is one of {', '.join(_KINDS.values())}, and {len(found)} were given"
        raise ProtocolError(msg)
    return found[0]


def _decoded(said: bytes, decoder: "msgspec.json.Decoder[T]") -> T:
    try:
        return decoder.decode(said)
    except msgspec.MsgspecError as error:
        shown = said[:80].decode(errors="replace").strip()
        raise ProtocolError(f"{error}: {shown!r}") from error


_CALLS: msgspec.json.Decoder[Call] = msgspec.json.Decoder(Call)
_WORDS: msgspec.json.Decoder[Word] = msgspec.json.Decoder(Word)
