"""The judge of fences looks only at what moved; what it says is what one says that looks at all."""

from typing import NamedTuple

from hypothesis import given
from hypothesis import strategies as st
from tests.doubles import fabrics

from netwright.fabric.config import Fenced, Interface, SwitchConfig
from netwright.fabric.drivers.base import Actual
from netwright.fabric.fences import NOT_YET_S, FenceJudge
from netwright.fabric.verify import Fabric
from netwright.fabric.views import View
from netwright.model.fabric import FenceReport, SwitchStatus
from netwright.model.resources import FenceState, PortFence
from netwright.model.wire import ReportStatus

TOPOLOGY = fabrics.topology(leaves=2, hosts=2)
HOSTS, PORTS, LEAVES = ("host1", "host2"), ("p", "q"), ("leaf1", "leaf2")
INTERFACES = {"host1": "h1", "host2": "h2"}


def drop(port: str) -> Fenced:
    return Fenced(port_id=port, mac_address=f"02:{port}", addresses=(f"10.0.0.{port}",))


def fence(port: str, state: FenceState, cause: str) -> PortFence:
    return PortFence(
        port_id=port,
        generation=1,
        macs=(f"02:{port}",),
        addresses=(f"10.0.0.{port}",),
        state=state,
        cause=cause,
        asked_at=0.0,
        since=0.0,
    )


_FENCES = st.dictionaries(
    st.sampled_from(HOSTS),
    st.lists(
        st.builds(
            fence,
            st.sampled_from(PORTS),
            st.sampled_from(FenceState),
            st.sampled_from(["", "leaf1/h1 lets it through"]),
        ),
        unique_by=lambda one: one.port_id,
        min_size=1,
    ).map(tuple),
)
_INTERFACE = st.builds(
    lambda name, ports, down: Interface(
        name=name, fenced=tuple(map(drop, sorted(ports))), is_down=down
    ),
    st.just(""),
    st.sets(st.sampled_from(PORTS)),
    st.booleans(),
)
_CONFIG = st.dictionaries(st.sampled_from(["h1", "h2"]), _INTERFACE).map(
    lambda given: SwitchConfig(interfaces=given)
)
_ACTUAL = st.none() | st.builds(
    lambda config, links: Actual(config=config, links=links, boot_id="b"),
    _CONFIG,
    st.dictionaries(st.sampled_from(["h1", "h2"]), st.booleans()),
)


class Seen(NamedTuple):
    """Another view of a leaf, beside what the plan wants of it."""

    leaf: str
    actual: Actual | None
    bringing: SwitchConfig | None
    wanted: SwitchConfig


class Told(NamedTuple):
    fences: dict[str, tuple[PortFence, ...]]
    lit: frozenset[str]


class Passed(NamedTuple):
    seconds: float


_STEP = st.one_of(
    st.builds(Seen, st.sampled_from(LEAVES), _ACTUAL, st.none() | _CONFIG, _CONFIG),
    st.builds(Told, _FENCES, st.frozensets(st.sampled_from(LEAVES))),
    st.builds(Passed, st.sampled_from([0.0, NOT_YET_S / 2, NOT_YET_S + 1])),
)


def afresh(fabric: Fabric, told: Told) -> dict[tuple[str, str], FenceReport]:
    """What is said in the end by one that knows nothing of before."""
    judge = FenceJudge()
    judge.meet(TOPOLOGY)
    judge.follow(told.fences, told.lit)
    judge.judge(fabric, 0.0)
    judge.judge(fabric, NOT_YET_S + 1)
    return judge.statements


@given(st.lists(_STEP, max_size=12))
def test_it_says_what_one_says_that_knows_nothing_of_before(
    steps: list[Seen | Told | Passed],
) -> None:
    judge, told, now = FenceJudge(), Told({}, frozenset()), 0.0
    fabric = Fabric(wanted={}, views={}, loopbacks={})
    judge.meet(TOPOLOGY)
    for step in steps:
        match step:
            case Seen(leaf, actual, bringing, wanted):
                status = SwitchStatus.IN_SYNC if actual else SwitchStatus.UNREACHABLE
                view = View(name=leaf, status=status, actual=actual, bringing=bringing)
                fabric = Fabric(
                    wanted={**fabric.wanted, leaf: wanted},
                    views={**fabric.views, leaf: view},
                    loopbacks={},
                )
                judge.touch_switch(leaf)
            case Told():
                told = step
                judge.follow(told.fences, told.lit)
            case Passed(seconds):
                now += seconds
        judge.judge(fabric, now)
        due = afresh(fabric, told)
        said = judge.statements
        assert said.items() <= due.items()
        missing = [due[key] for key in due.keys() - said.keys()]
        assert all(one.status is ReportStatus.DOWN for one in missing), "only time holds back"
    judge.judge(fabric, now + NOT_YET_S + 1)
    judge.judge(fabric, now + 2 * NOT_YET_S + 2)
    assert judge.statements == afresh(fabric, told)
