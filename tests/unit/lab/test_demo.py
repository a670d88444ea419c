"""The demo, as far as it needs no lab: which scenes there are, and how it looks."""

import io
from typing import Any

import pytest
from rich.console import Console

from netwright.lab import spec
from netwright.lab.demo.pods import pod
from netwright.lab.demo.scenes import SCENES, lab_name, scene
from netwright.lab.demo.screen import Screen, rows_of
from netwright.lab.errors import SpecError
from netwright.lab.networks import subnet_of
from netwright.lab.state import LAB_NAME
from netwright.model.wire import CONTAINER_OWNER


def test_every_scene_is_of_a_preset_and_has_a_lab_of_its_own() -> None:
    assert SCENES.keys() <= set(spec.presets())
    names = [lab_name(preset) for preset in SCENES]
    assert len(set(names)) == len(names)
    assert all(LAB_NAME.fullmatch(name) for name in names)
    for one in SCENES.values():
        titles = [claim.title for claim in one.claims]
        assert len(set(titles)) == len(titles)
        assert all(command.format(lab="x") for command in one.try_next)


def test_a_preset_without_a_scene_is_refused_with_those_that_have_one() -> None:
    with pytest.raises(SpecError, match=r"'moon'.*vlan, evpn, containers"):
        scene("moon")


def port(name: str, owner: str = "compute:lab", vnic: str = "normal") -> dict[str, Any]:
    return {
        "name": name,
        "device_owner": owner,
        "binding:host_id": "host1",
        "binding:vnic_type": vnic,
        "fixed_ips": [{"ip_address": "10.8.0.2"}, {"ip_address": "fd00:8::2"}],
        "mac_address": "fa:16:3e:00:00:01",
        "status": "ACTIVE",
    }


def test_the_table_has_the_instances_by_name() -> None:
    rows = rows_of([port("web2"), port("", "network:router_interface"), port("web1")])
    assert [row[0] for row in rows] == ["web1", "web2"]
    assert rows[0][3] == "10.8.0.2, fd00:8::2"


def test_the_table_tells_the_kinds_apart() -> None:
    rows = rows_of([port("a"), port("b", CONTAINER_OWNER), port("c", vnic="baremetal")])
    assert [row[1] for row in rows] == ["VM", "container", "bare metal"]


@pytest.mark.parametrize("is_terminal", [True, False])
def test_the_table_of_ports_cuts_nothing(*, is_terminal: bool) -> None:
    out = io.StringIO()
    console = Console(file=out, width=80, force_terminal=is_terminal, no_color=True, soft_wrap=True)
    with Screen(console).ports(lambda: rows_of([port("default/web-0", CONTAINER_OWNER)])):
        pass
    said = out.getvalue()
    for whole in ("container", "fa:16:3e:00:00:01", "fd00:8::2", "ACTIVE"):
        assert whole in said
    assert "…" not in said


def test_a_port_that_is_kept_for_its_name_is_on_no_host() -> None:
    (row,) = rows_of([port("a", CONTAINER_OWNER) | {"binding:host_id": None}])
    assert row[2] == ""


def test_the_demos_pods_are_named_by_their_labels() -> None:
    web = pod("web-0", "host1")
    assert web.labels == {"app": "web", "ordinal": "0"}
    assert web.networks in spec.preset("containers").selectors()
    assert "portName" in web.config
    assert "portName" not in pod("job-1", "host1", is_named=False).config


@pytest.mark.parametrize("is_terminal", [True, False])
def test_what_was_measured_stands_under_its_claim(*, is_terminal: bool) -> None:
    """On a terminal it is wrapped to the width; elsewhere a line is a line, for whoever greps."""
    out = io.StringIO()
    screen = Screen(
        Console(file=out, width=40, force_terminal=is_terminal, no_color=True, soft_wrap=True)
    )
    screen.held(
        "A claim", "host1 [eth0] moved to leaf2, and no ping of all that were sent was lost"
    )
    lines = [line.rstrip() for line in out.getvalue().splitlines()]
    assert lines[0].endswith("A claim\x1b[0m" if is_terminal else "✓ A claim")
    assert all(line.startswith(" " * 10) for line in lines[1:])
    words = " ".join(line.strip() for line in lines[1:])
    assert words == "host1 [eth0] moved to leaf2, and no ping of all that were sent was lost"
    assert (len(lines) > 2) is is_terminal


def test_a_subnet_is_told_by_its_gateway() -> None:
    wanted = {"cidr": "fd00:8::/64", "ip_version": 6, "gateway_ip": "fd00:8::1"}
    assert subnet_of("fd00:8::1/64") == wanted
