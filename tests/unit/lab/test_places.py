"""Which instance is meant by a name, and which names are still to be had."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from netwright.lab import instances, spec, state
from netwright.lab.errors import SpecError, UnknownLabObjectError
from netwright.lab.places import (
    Attachment,
    Instance,
    Placed,
    find_instance,
    free_name,
    require_free,
)
from netwright.lab.state import Lab

ON_HOST1 = "0b7c3f54-9f0e-4b7e-8d49-0f1a2b3c4d5e"
ON_HOST2 = "4c1d2e3f-0a1b-4c5d-9e8f-7a6b5c4d3e2f"


@pytest.fixture
def lab() -> Iterator[Lab]:
    with tempfile.TemporaryDirectory(prefix="nwt-") as root:  # short: it is for unix sockets
        lab = state.make_handle(spec.preset("containers"), "demo", Path(root))
        state.save(lab)
        yield lab


def put(lab: Lab, instance_id: str, name: str, host: str, *, is_container: bool = False) -> None:
    attachment = Attachment({}, "") if is_container else None
    instance = Instance(instance_id, mac="", addresses=(), device_id=name)
    instances.record(lab, Placed(instance, host, lab.namespace("x"), attachment))


def test_a_name_without_owner_gets_a_number_when_it_is_taken(lab: Lab) -> None:
    assert free_name(lab, "red-host1") == "red-host1"
    put(lab, ON_HOST1, "red-host1", "host1")
    assert free_name(lab, "red-host1") == "red-host1-2"
    put(lab, ON_HOST2, "red-host1-2", "host1")
    assert free_name(lab, "red-host1") == "red-host1-3"


def test_a_name_is_given_once(lab: Lab) -> None:
    require_free(lab, "vm", "host1", follows=False)
    put(lab, ON_HOST1, "vm", "host1")
    for host in ("host1", "host2"):
        with pytest.raises(SpecError, match=rf"an instance vm \({ON_HOST1} on host1\) already"):
            require_free(lab, "vm", host, follows=False)
    with pytest.raises(SpecError, match="host2 is a node's name"):
        require_free(lab, "host2", "host1", follows=False)


def test_a_container_may_come_again_on_another_host(lab: Lab) -> None:
    put(lab, ON_HOST1, "web-0", "host1", is_container=True)
    require_free(lab, "web-0", "host2", follows=True)
    with pytest.raises(SpecError, match="web-0"):
        require_free(lab, "web-0", "host1", follows=True)
    with pytest.raises(SpecError, match="web-0"):
        require_free(lab, "web-0", "host2", follows=False)
    put(lab, ON_HOST2, "vm", "host1")
    with pytest.raises(SpecError, match="vm"):
        require_free(lab, "vm", "host2", follows=True)


def test_a_name_that_two_bear_is_not_guessed_at(lab: Lab) -> None:
    put(lab, ON_HOST1, "web-0", "host1", is_container=True)
    put(lab, ON_HOST2, "web-0", "host2", is_container=True)
    with pytest.raises(UnknownLabObjectError) as refused:
        find_instance(lab, "web-0")
    assert f"web-0 ({ON_HOST1} on host1), web-0 ({ON_HOST2} on host2)" in str(refused.value)
    assert refused.value.next == f"say which by its id, such as {ON_HOST1[:11]}"
    assert find_instance(lab, ON_HOST2[:11]).node == "host2"
    with pytest.raises(UnknownLabObjectError, match="no instance 'web-1'"):
        find_instance(lab, "web-1")
