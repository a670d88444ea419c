"""What is said of single ports' fences, by what leaves say: the table of `fences`, row by row."""

from collections.abc import Mapping
from typing import Any

import pytest
from msgspec.structs import replace
from tests.doubles import fabrics

from netwright.fabric.config import Fenced, Interface, SwitchConfig
from netwright.fabric.drivers.base import Actual
from netwright.fabric.elements import ElementKey
from netwright.fabric.fences import NOT_YET_S, FenceJudge
from netwright.fabric.verify import Fabric
from netwright.fabric.views import View
from netwright.model.fabric import FenceReport, SwitchStatus
from netwright.model.resources import FenceState, PortFence
from netwright.model.wire import ReportStatus

TOPOLOGY = fabrics.topology(leaves=4, hosts=4)
MAC, ADDRESS = "02:00:00:00:00:01", "10.0.0.5"
ASKED = PortFence(
    port_id="p", generation=7, macs=(MAC,), addresses=(ADDRESS,), asked_at=1.0, since=1.0
)
VERIFIED = replace(ASKED, state=FenceState.VERIFIED)
LIFTING = replace(ASKED, state=FenceState.LIFTING)
UP, DOWN, WITHDRAWN = ReportStatus.UP, ReportStatus.DOWN, ReportStatus.WITHDRAWN
DROPS = Fenced(port_id="p", mac_address=MAC, addresses=(ADDRESS,))


def config(*fenced: Fenced) -> SwitchConfig:
    return SwitchConfig(interfaces={"h1": Interface(name="h1", fenced=fenced)})


def view(name: str, *fenced: Fenced, links: Mapping[str, bool] = {}, **more: Any) -> View:
    actual = Actual(config=config(*fenced), links=links, boot_id="b")
    values: dict[str, Any] = {"actual": actual} | more
    return View(name=name, status=SwitchStatus.IN_SYNC, **values)


def dead(name: str) -> View:
    return View(name=name, status=SwitchStatus.UNREACHABLE, cause="no route to it")


def judged(
    fence: PortFence,
    *views: View,
    wanted: SwitchConfig | None = None,
    lit: frozenset[str] = frozenset(),
    host: str = "host1",
    waited_s: float = NOT_YET_S + 1,
) -> tuple[ReportStatus, str] | None:
    """What is said in the end of the fence of p at host1, on leaf1 and leaf2 by h1."""
    plan = wanted or (config(DROPS) if fence.is_wanted else config())
    fabric = Fabric(
        wanted=dict.fromkeys(("leaf1", "leaf2"), plan),
        views={one.name: one for one in views},
        loopbacks={},
    )
    judge = FenceJudge()
    judge.meet(TOPOLOGY)
    judge.follow({host: (fence,)}, lit)
    judge.judge(fabric, 0.0)
    judge.judge(fabric, waited_s)
    said = judge.statements.get((host, "p"))
    assert said is None or (said.host, said.generation) == (host, 7)
    return (said.status, said.cause) if said is not None else None


def test_it_is_verified_when_every_leaf_reads_it_back() -> None:
    both = view("leaf1", DROPS), view("leaf2", DROPS)
    assert judged(ASKED, *both) == (UP, "")
    assert judged(VERIFIED, *both) is None
    assert judged(ASKED, *both, waited_s=0.0) == (UP, ""), "at once"


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (view("leaf2"), "leaf2/h1 lets it through"),
        (view("leaf2", replace(DROPS, addresses=())), "leaf2/h1 lets it through"),
        (
            view("leaf2", refusals={ElementKey(Interface, "h1"): "No room in its table."}),
            "leaf2/h1 lets it through: No room in its table.",
        ),
        (dead("leaf2"), "switch leaf2 does not answer: no route to it"),
        (view("leaf3"), "switch leaf2 was not read yet"),
        (view("leaf2", DROPS, bringing=config()), "leaf2/h1 lets it through"),
    ],
)
def test_one_leaf_that_does_not_keeps_it_unproven_and_is_named(other: View, words: str) -> None:
    assert judged(ASKED, view("leaf1", DROPS), other) == (DOWN, words)
    assert judged(ASKED, view("leaf1", DROPS), other, waited_s=NOT_YET_S / 2) is None
    told = replace(ASKED, cause=words)
    assert judged(told, view("leaf1", DROPS), other) is None, "the server knows"


def test_a_port_that_is_held_down_lets_nothing_through() -> None:
    """As at a leaf that is isolated, or started anew: it is opened with all in place."""
    held = SwitchConfig(interfaces={"h1": Interface(name="h1", is_down=True)})

    def other(*, link: bool = False, **more: Any) -> View:
        actual = Actual(config=held, links={"h1": link}, boot_id="b")
        return View(name="leaf2", status=SwitchStatus.ISOLATED, actual=actual, **more)

    one = view("leaf1", DROPS)
    assert judged(ASKED, one, other()) == (UP, "")
    assert judged(ASKED, one, other(bringing=config(DROPS))) == (UP, "")
    for open_ in (other(link=True), other(bringing=config())):
        assert judged(ASKED, one, open_) == (DOWN, "leaf2/h1 lets it through")


def test_what_another_port_has_dropped_at_the_interface_counts() -> None:
    """An interface drops each sender once, whoever's it is."""
    other = Fenced(port_id="q", mac_address="02:00:00:00:00:02", addresses=(ADDRESS,))
    split = (replace(DROPS, addresses=()), other)
    assert judged(ASKED, view("leaf1", *split), view("leaf2", *split)) == (UP, "")


def test_a_host_without_a_leaf_is_never_proven() -> None:
    said = judged(ASKED, view("leaf1", DROPS), host="host9")
    assert said == (DOWN, "the inventory has no link of host host9 to a leaf")


DARK = view("spine1", links={"leaf1": True, "leaf2": False})


def test_a_leaf_that_nothing_has_a_link_to_is_dead_and_reaches_nobody() -> None:
    one, gone = view("leaf1", DROPS), dead("leaf2")
    assert judged(ASKED, one, gone, DARK) == (UP, "")
    lit = view("spine1", links={"leaf2": True})
    for spine in (lit, dead("spine1"), view("spine1")):
        assert judged(ASKED, one, gone, spine) == (
            DOWN,
            "switch leaf2 does not answer: no route to it",
        )
    said = judged(ASKED, one, gone, DARK, lit=frozenset({"leaf2"}))
    assert said is not None
    assert said[0] is DOWN, "a host that is heard has a link to it"


def test_what_was_proven_stays_so_while_a_leaf_is_silent_and_not_when_one_has_lost_it() -> None:
    assert judged(VERIFIED, view("leaf1", DROPS), dead("leaf2")) is None
    said = judged(VERIFIED, view("leaf1", DROPS), view("leaf2"))
    assert said == (DOWN, "leaf2/h1 lets it through")


def test_it_is_lifted_when_no_leaf_has_it_nor_may_get_it() -> None:
    clean = view("leaf1"), view("leaf2")
    assert judged(LIFTING, *clean) == (WITHDRAWN, "")
    for other in (
        view("leaf2", DROPS),
        view("leaf2", replace(DROPS, mac_address="")),
        dead("leaf2"),
        view("leaf2", bringing=config(DROPS)),
    ):
        assert judged(LIFTING, clean[0], other) is None


def test_what_is_dropped_for_another_port_is_no_rest_of_it() -> None:
    """Two ports of one MAC, as by leave: the plan still wants it dropped there."""
    other = Fenced(port_id="q", mac_address=MAC)
    views = view("leaf1", other), view("leaf2", other)
    assert judged(LIFTING, *views, wanted=config(other)) == (WITHDRAWN, "")


def test_it_is_judged_anew_when_something_of_it_moved() -> None:
    fabric = Fabric(
        wanted={"leaf1": config(DROPS), "leaf2": config(DROPS)},
        views={"leaf1": view("leaf1", DROPS), "leaf2": dead("leaf2")},
        loopbacks={},
    )
    judge = FenceJudge()
    judge.meet(TOPOLOGY)
    judge.follow({"host1": (ASKED,)}, frozenset())
    judge.judge(fabric, 0.0)
    assert judge.next_at() == NOT_YET_S
    dark = replace(fabric, views={**fabric.views, "spine1": DARK})
    judge.touch_switch("spine1")
    judge.judge(dark, 1.0)
    assert judge.statements["host1", "p"] == FenceReport(
        host="host1", port_id="p", generation=7, status=UP
    )
    judge.follow({"host1": (VERIFIED,)}, frozenset())
    judge.judge(dark, 1.0)
    assert judge.statements == {}
    assert judge.next_at() is None
    assert judge.lifting() == frozenset()
    judge.follow({"host1": (LIFTING,)}, frozenset())
    assert judge.lifting() == {"p"}
    judge.follow({}, frozenset())
    judge.judge(fabric, 2.0)
    assert judge.statements == {}
