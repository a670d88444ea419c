"""What is not of the protocol is refused; its form names every field."""

import hashlib

import msgspec
import pytest

from netwright.fabric.drivers.remote import protocol
from netwright.fabric.drivers.remote.protocol import Apply, ChangeForm, ElementForm, ProtocolError


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (b"Welcome to leaf1\n", r"malformed.*'Welcome to leaf1'"),
        (b'{"call":"reboot","id":1}\n', "'reboot'"),
        (b'{"call":"apply","id":1,"token":1}\n', "changes"),
        (b'{"call":"read"}\n', "id"),
        (b"\xff\xfe\n", "malformed"),
    ],
)
def test_what_is_not_of_the_protocol_is_refused(said: bytes, why: str) -> None:
    with pytest.raises(ProtocolError, match=why):
        protocol.call(said)
    with pytest.raises(ProtocolError):
        protocol.word(said)


@pytest.mark.parametrize("element", ["{}", '{"route":%s,"interface":{"name":"x"}}'])
def test_an_element_is_one(element: str) -> None:
    route = '{"destination":"10.0.0.0/8","nexthop":"10.0.0.1"}'
    both = element % route if "%s" in element else element
    said = f'{{"call":"apply","id":1,"token":1,"changes":[{{"verb":"add","after":{both}}}]}}'
    call = protocol.call(said.encode())
    assert isinstance(call, Apply)
    with pytest.raises(ProtocolError, match="one of vrf, segment, interface, gateway, route"):
        protocol.changes(call.changes)


def test_an_element_goes_by_its_kind() -> None:
    assert set(ElementForm.__struct_fields__) == set(protocol._KINDS.values())
    nothing = ChangeForm(verb="add", after=None)  # type: ignore[arg-type]
    assert msgspec.json.encode(nothing) == b'{"verb":"add"}'


def test_the_form_is_another_when_a_field_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """And the same when only what is written about it changes."""
    now = protocol.form()
    assert protocol.form.__wrapped__() == now
    _, components = msgspec.json.schema_components((protocol.Call, protocol.Word))

    def form_of(changed: dict[str, object]) -> str:
        monkeypatch.setattr(msgspec.json, "schema_components", lambda _: ((), changed))
        return protocol.form.__wrapped__()

    assert form_of(components) == now
    described = {**components, "Route": {**components["Route"], "description": "another"}}
    assert form_of(described) == now
    assert "description" in components["Route"]
    route = components["Route"]
    more = {**route, "properties": {**route["properties"], "metric": {"type": "integer"}}}
    assert form_of({**components, "Route": more}) != now
    assert len(now) == len(hashlib.sha256().hexdigest()) // 4
