"""Quotas and tags as people and programs use them: the `openstack` command, openstacksdk."""

from collections.abc import Iterator
from typing import Any

import openstack
import pytest
from openstack import exceptions
from tests.doubles.identity import OPTIONS, PROJECT_ID, identity
from tests.e2e.conftest import Server, free_port
from tests.e2e.openstack_cli import VLAN, Cli

pytestmark = pytest.mark.filterwarnings("ignore")  # the SDK's own deprecations
PROJECT = "0" * 32


@pytest.fixture(scope="module")
def cli(open_server: Server) -> Iterator[Cli]:
    one = Cli("--os-auth-type", "none", "--os-endpoint", open_server.url)
    yield one
    one.close()


@pytest.fixture(scope="module")
def cloud(open_server: Server) -> Any:
    return openstack.connection.Connection(
        auth_type="none", endpoint=open_server.url, auth={"endpoint": open_server.url}
    ).network


def test_quotas_by_the_sdk(cloud: Any) -> None:
    made = cloud.create_network(
        provider_network_type="vlan",
        provider_physical_network="physnet1",
        provider_segmentation_id="300",
    )
    assert cloud.get_quota(PROJECT).ports == -1
    assert cloud.get_quota_default(PROJECT).networks == -1
    assert list(cloud.quotas()) == []
    assert cloud.update_quota(PROJECT, ports=2, check_limit=True).ports == 2
    (listed,) = cloud.quotas()
    assert (listed.project_id, listed.ports, listed.networks) == (PROJECT, 2, -1)
    first, _ = (cloud.create_port(network_id=made.id) for _ in range(2))
    with pytest.raises(exceptions.ConflictException, match="Quota exceeded for resources"):
        cloud.create_port(network_id=made.id)
    details = cloud.get_quota(PROJECT, details=True)
    assert details.ports == {"limit": 2, "used": 2, "reserved": 0}
    with pytest.raises(exceptions.BadRequestException, match="already used 2"):
        cloud.update_quota(PROJECT, ports=1, check_limit=True)
    assert cloud.update_quota(PROJECT, ports=1, force=True).ports == 1
    cloud.delete_port(first)
    cloud.delete_quota(PROJECT)
    cloud.delete_quota(PROJECT)
    assert cloud.get_quota(PROJECT).ports == -1
    for port in cloud.ports():
        cloud.delete_port(port)
    cloud.delete_network(made)


def test_tags_by_the_command_and_the_sdk(cli: Cli, cloud: Any) -> None:
    cli(f"network create n {VLAN} 301 --tag red --tag blue")
    assert cli("network show n")["tags"] == ["blue", "red"]
    cli("port create p --network n --tag green")
    cli("network set n --tag white")
    cli("network unset n --tag red")
    (network,) = cloud.networks(tags="blue,white")
    assert network.tags == ["blue", "white"]
    assert list(cloud.networks(not_tags="blue")) == []
    assert [one["Name"] for one in cli("port list --tags green")] == ["p"]
    assert cli("port list --not-tags green") == []
    pool = "--pool-prefix 10.0.0.0/8"
    for kind, more in (("router", ""), ("security group", ""), ("subnet pool", pool)):
        cli(f"{kind} create one {more} --tag red --tag blue")
        cli(f"{kind} unset one --tag blue")
        assert cli(f"{kind} show one")["tags"] == ["red"]
        assert [each["Name"] for each in cli(f"{kind} list --tags red")] == ["one"]
        assert cli(f"{kind} list --any-tags blue") == []
    cloud.set_tags(network, ["only"])
    assert cloud.get_network(network.id).tags == ["only"]
    for extension in ("standard-attr-tag", "standard-attr-timestamp", "quotas", "quota_details"):
        assert cloud.find_extension(extension) is not None
    cli("port delete p")
    cli("network delete n")


def test_quotas_by_the_command(open_server: Server) -> None:
    with identity(free_port(), open_server.url) as url:
        openstack = Cli(*OPTIONS, "--os-auth-url", url)
        try:
            _quotas_by_the_command(openstack)
        finally:
            openstack.close()


def _quotas_by_the_command(openstack: Cli) -> None:
    def shown(command: str) -> dict[str, dict[str, Any]]:
        return {row["Resource"]: row for row in openstack(command)}

    assert shown("quota show")["ports"]["Limit"] == -1
    openstack("quota set --ports 7 --networks 2")
    assert shown("quota show --network")["ports"]["Limit"] == 7
    assert shown("quota show demo")["networks"]["Limit"] == 2
    assert shown("quota show --default")["ports"]["Limit"] == -1
    openstack(f"network create n {VLAN} 302 --project demo")
    used = shown("quota show --usage")["networks"]
    assert (used["Limit"], used["In Use"], used["Reserved"]) == (2, 1, 0)
    assert "already used 1" in openstack.refused("quota set --networks 0 demo")
    openstack("quota set --networks 0 --force demo")
    refused = openstack.refused(f"network create m {VLAN} 303 --project demo")
    assert "Quota exceeded for resources: ['network']" in refused
    (listed,) = openstack("quota list --network")
    assert (listed["Project ID"], listed["Ports"]) == (PROJECT_ID, 7)
    openstack("quota delete --network demo")
    assert openstack("quota list --network") == []
    openstack("network delete n")


def test_quota_show_asks_the_cloud_who_one_is(cli: Cli) -> None:
    """Without an identity service the command itself fails, before it asks us anything."""
    assert "project_id" in cli.refused("quota show --network")


def test_a_server_without_authentication_warns(open_server: Server) -> None:
    assert "everybody who reaches this server is an administrator" in open_server.log
