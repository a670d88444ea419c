"""The server's errors come back as the classes they left as."""

import msgspec
import pytest

from netwright.client.errors import from_item, from_response
from netwright.model.errors import (
    CallerError,
    Conflict,
    InternalError,
    IpAddressGenerationFailure,
    NetwrightError,
    NotFound,
    PortNotFound,
    StaleEpoch,
    Unavailable,
)
from netwright.model.security_errors import SecurityGroupRuleExists
from netwright.model.wire import ItemError


def native(kind: str, message: str = "what", what_next: str = "do this") -> bytes:
    error = {"type": kind, "fault": "caller", "message": message, "next": what_next}
    return msgspec.json.encode({"error": error})


def neutron(kind: str) -> bytes:
    return msgspec.json.encode({"NeutronError": {"type": kind, "message": "m", "detail": ""}})


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (409, native("StaleEpoch"), StaleEpoch),
        (404, neutron("PortNotFound"), PortNotFound),
        (409, neutron("IpAddressGenerationFailure"), IpAddressGenerationFailure),
        (409, neutron("SecurityGroupRuleExists"), SecurityGroupRuleExists),
        (409, neutron("SomethingNew"), Conflict),
        (404, b"<html>nothing here</html>", NotFound),
        (503, b"", Unavailable),
        (502, b"bad gateway", Unavailable),
        (500, b"{}", InternalError),
        (418, b"{}", CallerError),
        (500, native("PortNotFound"), InternalError),
    ],
)
def test_type_then_status_decide(status: int, body: bytes, expected: type[NetwrightError]) -> None:
    assert type(from_response("http://s/x", status, body)) is expected


def test_message_and_what_to_do_next_are_kept() -> None:
    error = from_response("http://s/x", 409, native("StaleEpoch", "why", "do that"))
    assert (error.message, error.next) == ("why", "do that")


def test_an_empty_answer_is_named_by_its_url() -> None:
    assert "http://s/x answered HTTP 503" in from_response("http://s/x", 503, b"").message


@pytest.mark.parametrize(
    ("status", "kind", "expected"),
    [
        (409, "IpAddressGenerationFailure", IpAddressGenerationFailure),
        (404, "PortNotFound", PortNotFound),
        (409, "SomethingNew", Conflict),
        (503, "Unavailable", Unavailable),
        (409, "PortNotFound", Conflict),
    ],
)
def test_the_error_of_one_among_many_likewise(
    status: int, kind: str, expected: type[NetwrightError]
) -> None:
    error = from_item(ItemError(status=status, type=kind, message="what", next="do this"))
    assert (type(error), error.message, error.next) == (expected, "what", "do this")
