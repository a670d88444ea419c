"""How long what keystone said of a token holds."""

from netwright.server.keystone.known import AWAY_S, UNKNOWN_S, KnownTokens, key_of
from netwright.server.keystone.tokens import Vouched

KEY = key_of(b"a token")


def vouched(expires_at: float) -> Vouched:
    return Vouched(
        user_id="u",
        project_id="p",
        is_system=False,
        domain_id="",
        roles=frozenset({"member"}),
        expires_at=expires_at,
    )


def test_it_holds_for_a_while_and_no_longer_than_the_token() -> None:
    known = KnownTokens(recheck_s=60.0)
    known.learn(KEY, vouched(1000.0), 0.0)
    fresh = known.fresh(KEY, 59.9)
    assert fresh is not None
    assert fresh.vouched == vouched(1000.0)
    assert known.fresh(KEY, 60.0) is None
    known.learn(KEY, vouched(70.0), 60.0)
    assert known.fresh(KEY, 69.9) is not None
    assert known.fresh(KEY, 70.0) is None


def test_an_unknown_token_is_not_asked_about_at_once_again() -> None:
    known = KnownTokens(recheck_s=60.0)
    known.learn(KEY, vouched(1000.0), 0.0)
    known.learn(KEY, None, 60.0)  # it was revoked
    fresh = known.fresh(KEY, 60.0)
    assert fresh is not None
    assert fresh.vouched is None
    assert known.fresh(KEY, 60.0 + UNKNOWN_S) is None
    assert known.without_keystone(KEY, 61.0) is None


def test_without_keystone_it_holds_until_the_token_expires() -> None:
    known = KnownTokens(recheck_s=60.0)
    assert known.without_keystone(KEY, 0.0) is None
    known.learn(KEY, vouched(100.0), 0.0)
    assert known.without_keystone(KEY, 90.0) == vouched(100.0)
    assert known.fresh(KEY, 90.0 + AWAY_S - 0.1) is not None
    assert known.fresh(KEY, 90.0 + AWAY_S) is None
    assert known.without_keystone(KEY, 100.0) is None


def test_one_that_has_expired_is_forgotten() -> None:
    known = KnownTokens(recheck_s=60.0)
    known.learn(KEY, vouched(100.0), 0.0)
    known.learn(KEY, vouched(100.0), 100.0)
    assert len(known) == 0


def test_the_newest_are_kept_and_no_more() -> None:
    known = KnownTokens(recheck_s=60.0, known_max=3)
    keys = [key_of(b"%d" % n) for n in range(5)]
    for key in keys:
        known.learn(key, vouched(1000.0), 0.0)
    assert [known.fresh(key, 1.0) is not None for key in keys] == [False, False, True, True, True]
