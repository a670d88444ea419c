"""A port's own DHCP options: each is about one name and IP version, as in Neutron."""

from typing import Any

import pytest
from tests.doubles.http import Client
from tests.unit.server.projects import client_of
from tests.unit.server.test_bulk import a_network

from netwright.server.core import Core


def boot(value: str | None, version: int = 4) -> dict[str, Any]:
    return {"opt_name": "bootfile-name", "opt_value": value, "ip_version": version}


NTP = {"opt_name": "ntp-server", "opt_value": "10.0.0.9", "ip_version": 4}


@pytest.fixture
def admin(core: Core) -> Client:
    return client_of(core, "admin")


async def made(client: Client, *options: dict[str, Any]) -> str:
    network = await a_network(client)
    body = {"port": {"network_id": network, "extra_dhcp_opts": list(options)}}
    answer = await client.post("/v2.0/ports", body)
    assert answer.status == 201, answer
    id_: str = answer.json["port"]["id"]
    return id_


async def changed(client: Client, port_id: str, options: Any) -> tuple[list[Any], int]:
    """The options and the revision after a change."""
    body = {"port": {"extra_dhcp_opts": options}}
    answer = await client.put(f"/v2.0/ports/{port_id}", body)
    assert answer.status == 200, answer
    return answer.json["port"]["extra_dhcp_opts"], answer.json["port"]["revision_number"]


async def test_what_a_change_does_not_name_stays(admin: Client) -> None:
    port = await made(admin, boot("one"), NTP)
    assert (await changed(admin, port, [boot("two")]))[0] == [boot("two"), NTP]
    assert (await changed(admin, port, [boot("three", 6)]))[0] == [
        boot("two"),
        NTP,
        boot("three", 6),
    ]
    assert (await changed(admin, port, [boot(None)]))[0] == [NTP, boot("three", 6)]


@pytest.mark.parametrize("nothing", [None, [], [boot(None)]])
async def test_what_asks_for_nothing_changes_nothing(admin: Client, nothing: Any) -> None:
    port = await made(admin, NTP)
    before = (await admin.get(f"/v2.0/ports/{port}")).json["port"]
    options, revision = await changed(admin, port, nothing)
    assert (options, revision) == ([NTP], before["revision_number"])


async def test_a_new_port_has_none_without_a_value_and_the_last_of_several(admin: Client) -> None:
    port = await made(admin, boot("one"), boot("two"), {**NTP, "opt_value": None})
    shown = (await admin.get(f"/v2.0/ports/{port}")).json["port"]
    assert shown["extra_dhcp_opts"] == [boot("two")]


async def test_a_router_may_be_blank_which_means_none(admin: Client) -> None:
    blank = {"opt_name": "router", "opt_value": "", "ip_version": 4}
    port = await made(admin, blank)
    assert (await admin.get(f"/v2.0/ports/{port}")).json["port"]["extra_dhcp_opts"] == [blank]


@pytest.mark.parametrize(
    "option",
    [
        boot(""), boot("two\nlines"), boot("\u2028"), {"opt_name": " ", "opt_value": "x"},
        {"opt_name": "mtu"}, boot("x", 5), {**boot("x"), "more": 1}, boot("x" * 256),
    ],
)  # fmt: skip
async def test_what_is_no_option_is_refused(admin: Client, option: dict[str, Any]) -> None:
    network = await a_network(admin)
    body = {"port": {"network_id": network, "extra_dhcp_opts": [option]}}
    answer = await admin.post("/v2.0/ports", body)
    assert answer.status == 400, answer
    assert "extra_dhcp_opts" in answer.error["message"]
