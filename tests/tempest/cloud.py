"""A server whose callers a real keystone vouches for, and who is known there."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from tests.e2e.conftest import Server, free_ports, running
from tests.tempest.keystone import Keystone, keystone

SERVICE_PASSWORD = "netwright's"
_VLANS = "physnet1:100:3999"
_QUOTAS = "security_group=10,rbac_policy=50"
"""The suite takes limits to be there. What is shared with all counts, unlike with Neutron."""


class Cloud(NamedTuple):
    keystone: Keystone
    server: Server


@contextmanager
def cloud(directory: Path, **settings: str) -> Iterator[Cloud]:
    """`settings` are further ones of the server's, which is the catalog's network service."""
    keystone_port, server_port = free_ports(2)
    password = directory / "password"
    directory.mkdir(parents=True, exist_ok=True)
    password.write_text(SERVICE_PASSWORD)
    with keystone(directory / "keystone", keystone_port) as identity:
        project = identity.project("service")
        identity.user("netwright", SERVICE_PASSWORD, project, "service")
        listen = f"127.0.0.1:{server_port}"
        identity.offer("network", f"http://{listen}")
        ours = {
            "keystone_url": identity.url,
            "keystone_password_file": str(password),
            "vlan_ranges": _VLANS,
            "quota_defaults": _QUOTAS,
            **settings,
        }
        with running(directory / "server", "keystone", listen=listen, **ours) as server:
            yield Cloud(identity, server)
