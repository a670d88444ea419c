"""What happened on a host, as an operator reads it in the agent's log."""

from netwright.agent.news import NAMED_MAX, REFUSED_AGAIN_S, Line, News
from netwright.agent.wiring import Outcome, Wired, WiringStatus
from netwright.model.conditions import FENCED
from netwright.model.errors import Unauthenticated, Unavailable
from netwright.model.resources import Host, HostState, Nic

UP, PENDING = Outcome(status=WiringStatus.UP), Outcome(status=WiringStatus.PENDING)
REFUSED = Outcome(status=WiringStatus.REFUSED, cause="no such bridge")
ETH0, ETH1 = Nic(name="eth0", link_up=True), Nic(name="eth1", link_up=True, active=False)
CUT = Nic(name="eth0", link_up=False, forwarding=False)


def test_a_path_is_told_when_it_is_lost_and_when_it_is_back() -> None:
    news = News("h1")
    assert list(news.nics([ETH0, ETH1], 10.0)) == []
    lost = {"nic": "eth0", "why": "no link"}
    assert list(news.nics([CUT, ETH1], 11.0)) == [
        Line("uplink NIC has no path", lost, is_warning=True)
    ]
    assert list(news.nics([CUT, ETH1], 12.0)) == []
    assert list(news.nics([ETH0, ETH1], 13.5)) == [
        Line("uplink NIC has its path back", {"nic": "eth0", "lost_s": 2.5})
    ]


def test_a_silent_switch_is_told_from_a_lost_link_and_at_once() -> None:
    (line,) = News("h1").nics([Nic(name="eth0", link_up=True, forwarding=False)], 1.0)
    assert line.fields["why"] == "its switch does not answer (BFD, LACP)"


def test_a_bond_tells_which_nic_it_uses_now() -> None:
    news = News("h1")
    assert list(news.nics([ETH0, ETH1], 1.0)) == []
    moved = [
        Nic(name="eth0", link_up=True, active=False),
        Nic(name="eth1", link_up=True, active=True),
    ]
    assert list(news.nics(moved, 2.0)) == [
        Line("NICs in use changed", {"before": "eth0", "now": "eth1"})
    ]


def test_ports_wired_and_withdrawn_are_counted_and_a_few_named() -> None:
    news, many = News("h1"), {f"p{n}": UP for n in range(8)}
    assert list(news.ports(Wired(outcomes=many), {})) == [
        Line("ports wired", {"count": 8, "ports": [f"p{n}" for n in range(NAMED_MAX)]})
    ]
    assert list(news.ports(Wired(outcomes=many), {})) == []
    assert list(news.ports(Wired(outcomes={"p0": UP, "p1": PENDING}), {})) == [
        Line("ports withdrawn", {"count": 6, "ports": ["p2", "p3", "p4", "p5", "p6"]})
    ]


def test_what_stands_though_it_should_not_is_withdrawn_when_it_goes() -> None:
    news = News("h1")
    list(news.ports(Wired(outcomes={"p": UP}), {}))
    assert list(news.ports(Wired(standing=frozenset({"p"})), {})) == []
    assert list(news.ports(Wired(), {})) == [Line("ports withdrawn", {"count": 1, "ports": ["p"]})]


def test_devices_that_stay_unwired_are_told_when_they_become_others() -> None:
    news = News("h1")
    wired = Wired(outcomes={"p": REFUSED})
    told = {"count": 2, "why": "p: no such bridge; q: no port of this id"}
    assert list(news.ports(wired, {"q": "no port of this id"})) == [
        Line("devices not wired", told, is_warning=True)
    ]
    assert list(news.ports(wired, {"q": "in other words"})) == []
    assert list(news.ports(Wired(), {})) == [Line("no device is left unwired", {})]


def test_a_fence_is_told_when_it_begins_and_ends() -> None:
    news = News("h1")
    up = Host(name="h1", driver="ovs", state=HostState.UP, state_since=0.0, heard_at=0.0)
    fenced = Host(
        name="h1",
        driver="ovs",
        state=HostState.FENCED,
        conditions={FENCED: "burnt"},
        state_since=0.0,
        heard_at=0.0,
    )
    told = [list(news.host(host)) for host in (None, up, fenced, fenced, None, up)]
    begins = {"host": "h1", "reason": "burnt"}
    assert told == [
        [],
        [],
        [Line("the host is fenced: its ports are withdrawn", begins, is_warning=True)],
        [],
        [],
        [Line("the host is unfenced", {"host": "h1"})],
    ]


def test_a_refused_token_is_told_with_what_to_do_once_a_minute() -> None:
    news, refused = News("h1"), Unauthenticated("The token is not known here.")
    assert news.refusal(Unavailable("down"), 1.0) is None
    line = next(news.refusal(refused, 1.0) or iter(()))
    assert "netwright host credential h1" in str(line.fields["next"])
    assert list(news.refusal(refused, REFUSED_AGAIN_S) or ()) == []
    assert len(list(news.refusal(refused, 1.0 + REFUSED_AGAIN_S) or ())) == 1
