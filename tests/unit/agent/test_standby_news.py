"""A live migration in the logs of both agents: wired and withdrawn is what packets pass through."""

from netwright.agent.news import News
from netwright.agent.wiring import Outcome, Wired, WiringStatus

UP = Wired(outcomes={"p": Outcome(status=WiringStatus.UP)})
NOTHING = Wired()


def events(news: News, wired: Wired, silent: frozenset[str] = frozenset()) -> list[str]:
    return [line.event for line in news.ports(wired, {}, silent)]


def test_a_standby_is_wired_when_it_is_activated() -> None:
    news, standby = News("h2"), frozenset({"p"})
    assert events(news, UP, standby) == []
    assert events(news, NOTHING) == []  # it waits until the other host has withdrawn it
    assert events(news, UP) == ["ports wired"]


def test_what_becomes_a_standby_was_withdrawn() -> None:
    news = News("h1")
    assert events(news, UP) == ["ports wired"]
    assert events(news, NOTHING) == ["ports withdrawn"]
    assert events(news, UP, frozenset({"p"})) == []


def test_an_administrator_who_closes_a_port_withdraws_nothing() -> None:
    news = News("h1")
    assert events(news, UP) == ["ports wired"]
    assert events(news, UP, frozenset({"p"})) == []
    assert events(news, UP) == []
