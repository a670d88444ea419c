"""What is remembered from batch to batch is what is stored: whoever wrote it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.doubles.places import SqlitePlace
from tests.doubles.store import ADMIN, Store, create, delete, ipv4_subnet
from tests.unit.server.test_several_processes import create as create_at
from tests.unit.server.test_several_processes import two_cores

from netwright.model.errors import NetwrightError
from netwright.model.resources import Port
from netwright.server.commands import CreateSubnets, DeleteNetwork, SubnetDraft, UpdateNetwork

SIX = SubnetDraft(id="six", project_id="p", network_id="net", cidr="fd00::/64", ip_version=6)
UNPROTECTED = UpdateNetwork(caller=ADMIN, id="net", port_security_enabled=False)


@pytest.fixture
def store() -> Iterator[Store]:
    one = Store()
    one.make_network("net", 10, ipv4_subnet("net", "10.0.0.0/24"))
    yield one
    one.close()


def selects(store: Store, port_id: str) -> list[str]:
    """The tables that making a port reads."""
    assert isinstance(store.place, SqlitePlace)
    with store.place.listening() as said:
        store.do(create(port_id))
    return [each.split(" FROM ")[1].split()[0] for each in said if each.startswith("SELECT")]


def test_a_network_is_read_once(store: Store) -> None:
    assert {"network", "subnet"} <= set(selects(store, "p1"))
    assert not {"network", "subnet"} & set(selects(store, "p2"))


def test_what_a_batch_changes_is_read_again(store: Store) -> None:
    store.do(create("p1"))
    store.do(CreateSubnets(caller=ADMIN, drafts=(SIX,)))
    (port,) = store.do(create("p2"))
    assert len(port.fixed_ips) == 2
    store.do(UNPROTECTED)
    (port,) = store.do(create("p3"))
    assert not port.port_security_enabled


def test_a_deleted_network_is_forgotten(store: Store) -> None:
    store.do(create("p1"))
    store.do(delete("p1"))
    store.do(DeleteNetwork(caller=ADMIN, id="net"))
    with pytest.raises(NetwrightError, match="net"):
        store.do(create("p2"))


async def test_what_another_process_changes_is_read_again(tmp_path: Path) -> None:
    first, second = await two_cores(tmp_path / "netwright.db", "10.0.0.0/24")
    try:
        assert isinstance(await create_at(first, "a"), Port)
        await second.commit(UNPROTECTED)
        made = await create_at(first, "b")
        assert isinstance(made, Port)
        assert not made.port_security_enabled
    finally:
        await first.close()
        await second.close()
