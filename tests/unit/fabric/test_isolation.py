"""Which host ports a leaf holds down that no other switch hears."""

from tests.doubles import fabrics

from netwright.fabric.config import EMPTY
from netwright.fabric.drivers.base import Actual
from netwright.fabric.isolation import ASK_S_MIN, RAISED_S_MAX, Isolation, Paths
from netwright.fabric.views import View
from netwright.model.fabric import SwitchStatus
from netwright.model.vlan_domains import host_links

TOPOLOGY = fabrics.topology(leaves=2, hosts=2)
ONE_WAY = fabrics.link("metal", "leaf1", "m1")


class Bench:
    """Two leaves with host1 and host2 on both; time and completeness by hand."""

    def __init__(self, *, one_way: bool = False) -> None:
        self.now = 0.0
        self.is_complete = False
        self.asked: list[tuple[str, float]] = []
        self.paths = Paths([*host_links(TOPOLOGY), *([ONE_WAY] if one_way else [])])
        self.isolation = Isolation(lambda: self.now, self._is_complete)

    def look(self, *views: View, drained: frozenset[str] = frozenset()) -> frozenset[str]:
        return self.isolation.look(self.paths, {view.name: view for view in views}, drained)

    def held(self, leaf: str) -> frozenset[str]:
        return self.isolation.held.get(leaf, frozenset())

    def _is_complete(self, name: str, since: float) -> bool:
        self.asked.append((name, since))
        return self.is_complete


def seen(leaf: str, *, isolated: bool = False, down: tuple[str, ...] = ()) -> View:
    links = {f"h{number}": f"h{number}" not in down for number in (1, 2)}
    actual = Actual(config=EMPTY, links=links, boot_id="1", isolation="alone" if isolated else "")
    return View(name=leaf, status=SwitchStatus.IN_SYNC, actual=actual)


def silent(leaf: str) -> View:
    return View(name=leaf, status=SwitchStatus.UNREACHABLE)


def test_hosts_that_another_leaf_serves_are_sent_there() -> None:
    bench = Bench()
    assert bench.look(seen("leaf1", isolated=True), seen("leaf2")) == {"leaf1"}
    assert bench.held("leaf1") == {"h1", "h2"}
    assert not bench.look(seen("leaf1", isolated=True), seen("leaf2"))  # as before


def test_a_host_that_no_other_leaf_serves_keeps_its_port() -> None:
    bench = Bench(one_way=True)
    bench.look(seen("leaf1", isolated=True), seen("leaf2", down=("h2",)))
    assert bench.held("leaf1") == {"h1"}


def test_of_two_isolated_leaves_neither_holds_anything() -> None:
    bench = Bench()
    assert not bench.look(seen("leaf1", isolated=True), seen("leaf2", isolated=True))
    assert not bench.isolation.held


def test_another_leaf_that_is_silent_or_drained_serves_nobody() -> None:
    bench = Bench()
    isolated = seen("leaf1", isolated=True)
    assert not bench.look(isolated, silent("leaf2"))
    assert not bench.look(isolated, seen("leaf2"), drained=frozenset({"leaf2"}))
    assert bench.look(isolated, seen("leaf2")) == {"leaf1"}


def test_ports_come_back_once_the_others_have_heard_all_since_the_sessions_are_back() -> None:
    bench = Bench()
    bench.look(seen("leaf1", isolated=True), seen("leaf2"))
    bench.now = 7.0
    assert not bench.look(seen("leaf1"), seen("leaf2"))
    bench.now = 8.0
    bench.is_complete = True
    assert bench.look(seen("leaf1"), seen("leaf2")) == {"leaf1"}
    assert not bench.isolation.held
    assert bench.asked == [("leaf1", 7.0), ("leaf1", 7.0)]


def test_sessions_that_come_and_go_begin_anew() -> None:
    bench = Bench()
    bench.look(seen("leaf1", isolated=True), seen("leaf2"))
    bench.look(seen("leaf1"), seen("leaf2"))
    bench.look(seen("leaf1", isolated=True), seen("leaf2"))
    bench.now = 9.0
    bench.look(seen("leaf1"), seen("leaf2"))
    assert bench.asked[-1] == ("leaf1", 9.0)


def test_who_confirms_nothing_is_waited_for_a_while_only() -> None:
    bench = Bench()
    bench.look(seen("leaf1", isolated=True), seen("leaf2"))
    bench.look(seen("leaf1"), seen("leaf2"))
    bench.now = RAISED_S_MAX + 1
    assert bench.look(seen("leaf1"), seen("leaf2")) == {"leaf1"}
    assert not bench.isolation.held


def test_what_does_not_answer_goes_on_holding_until_its_hosts_have_no_other_way() -> None:
    bench = Bench()
    bench.look(seen("leaf1", isolated=True), seen("leaf2"))
    assert not bench.look(silent("leaf1"), seen("leaf2"))
    assert bench.look(silent("leaf1"), silent("leaf2")) == {"leaf1"}
    assert not bench.isolation.held


def test_a_leaf_that_waits_serves_its_hosts_again_when_the_other_goes() -> None:
    bench = Bench()
    bench.look(seen("leaf1", isolated=True), seen("leaf2"))
    waits = seen("leaf1", down=("h1", "h2"))
    assert not bench.look(waits, seen("leaf2", isolated=True)) - {"leaf1"}
    assert not bench.isolation.held


def test_others_are_not_asked_again_by_their_own_answers() -> None:
    bench = Bench()
    bench.look(seen("leaf1", isolated=True), seen("leaf2"))
    bench.now = 1.0
    for _ in range(3):  # each answer is a view
        bench.look(seen("leaf1"), seen("leaf2"))
    assert len(bench.asked) == 1
    bench.now += ASK_S_MIN
    bench.look(seen("leaf1"), seen("leaf2"))
    assert len(bench.asked) == 2
