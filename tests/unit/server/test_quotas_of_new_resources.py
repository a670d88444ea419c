"""What a version of the server counts that the one before did not: counted once, then kept."""

from tests.doubles.places import Place
from tests.doubles.store import ADMIN, Store, create, ipv4_subnet

from netwright.server.commands import SetQuota


def test_what_has_no_row_yet_is_counted_once(place: Place) -> None:
    store = Store(place)
    store.make_network("net", 10, ipv4_subnet("net", "10.0.0.0/24"))
    store.do(SetQuota(caller=ADMIN, project_id="p", limits={"port": 9}, check=True))
    store.run("DELETE FROM quota_usage WHERE resource = 'router'")
    store.do(create("p1"))
    sql = "SELECT used FROM quota_usage WHERE resource = 'router'"
    assert store.rows(sql) == [(0,)]
    assert store.memory.usage["p"]["router"] == 0
    assert store.memory.usage["p"]["port"] == 1
    store.close()
