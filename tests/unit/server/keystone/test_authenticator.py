"""Who asks: what is known is said at once, the rest is asked once."""

import asyncio

import pytest

from netwright.model.errors import Denied, Unauthenticated
from netwright.server.api.v2.rules import ACTIONS, ATTRIBUTES
from netwright.server.auth import TokenAuthenticator
from netwright.server.commands import Caller
from netwright.server.keystone import authenticator as module
from netwright.server.keystone.authenticator import KeystoneAuthenticator
from netwright.server.keystone.known import AWAY_S, UNKNOWN_S, KnownTokens
from netwright.server.keystone.service import KeystoneAway
from netwright.server.keystone.tokens import Vouched
from netwright.server.rights.rules import Rules

RECHECK_S = 60.0
WAIT_S = 10.0


def vouched(project_id: str, *roles: str, expires_at: float = 1000.0) -> Vouched:
    return Vouched(
        user_id="u",
        project_id=project_id,
        is_system=False,
        domain_id="",
        roles=frozenset(roles or ("member", "reader")),
        expires_at=expires_at,
    )


class VoucherDouble:
    """A double of keystone; while `gate` is clear, it does not answer."""

    url = "http://keystone/v3"

    def __init__(self) -> None:
        self.tokens: dict[str, Vouched] = {}
        self.asked: list[str] = []
        self.is_away = False
        self.gate = asyncio.Event()
        self.gate.set()
        self.is_closed = False

    async def vouch(self, token: str) -> Vouched | None:
        self.asked.append(token)
        await self.gate.wait()
        if self.is_away:
            raise KeystoneAway("Keystone is away.", next="Look at keystone.")
        return self.tokens.get(token)

    async def close(self) -> None:
        self.is_closed = True


class Scene:
    def __init__(self) -> None:
        self.now = 0.0
        self.keystone = VoucherDouble()
        self.own = TokenAuthenticator("secret", b"agents")
        self.authenticator = KeystoneAuthenticator(
            self.own,
            self.keystone,
            Rules(ACTIONS, ATTRIBUTES),
            KnownTokens(RECHECK_S),
            public_url="http://public/v3",
            now=lambda: self.now,
        )

    def at_once(self, token: str) -> Caller:
        found = self.authenticator.caller({b"x-auth-token": token.encode()})
        assert isinstance(found, Caller)
        return found

    async def caller(self, token: str) -> Caller:
        found = self.authenticator.caller({b"x-auth-token": token.encode()})
        if isinstance(found, Caller):
            return found
        async with asyncio.timeout(WAIT_S):
            return await found


@pytest.fixture
def scene() -> Scene:
    return Scene()


async def test_a_token_is_asked_about_once_and_then_known(scene: Scene) -> None:
    scene.keystone.tokens["t"] = vouched("p")
    assert await scene.caller("t") == Caller(project_id="p")
    scene.now = RECHECK_S - 1
    assert scene.at_once("t") == Caller(project_id="p")
    assert scene.keystone.asked == ["t"]


async def test_requests_at_once_ask_once(scene: Scene) -> None:
    scene.keystone.tokens |= {"t": vouched("p"), "u": vouched("q")}
    scene.keystone.gate.clear()
    asking = [asyncio.create_task(scene.caller(token)) for token in "ttut"]
    gives_up = asking[0]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    gives_up.cancel()
    scene.keystone.gate.set()
    found = await asyncio.gather(*asking[1:])
    assert [each.project_id for each in found] == ["p", "q", "p"]
    assert sorted(scene.keystone.asked) == ["t", "u"]


async def test_a_revoked_token_is_noticed_at_the_next_check(scene: Scene) -> None:
    scene.keystone.tokens["t"] = vouched("p")
    await scene.caller("t")
    del scene.keystone.tokens["t"]
    scene.now = RECHECK_S
    with pytest.raises(Unauthenticated) as raised:
        await scene.caller("t")
    assert raised.value.challenge == 'Keystone uri="http://public/v3"'
    asked = len(scene.keystone.asked)
    with pytest.raises(Unauthenticated):
        scene.at_once("t")
    assert len(scene.keystone.asked) == asked
    scene.keystone.tokens["t"] = vouched("p")
    scene.now += UNKNOWN_S
    assert (await scene.caller("t")).project_id == "p"


async def test_other_roles_are_noticed_at_the_next_check(scene: Scene) -> None:
    scene.keystone.tokens["t"] = vouched("p", "admin")
    assert (await scene.caller("t")).is_admin
    scene.keystone.tokens["t"] = vouched("p", "reader")
    scene.now = RECHECK_S
    assert "create_port" in (await scene.caller("t")).rights.denied


async def test_no_token_is_used_after_it_has_expired(scene: Scene) -> None:
    scene.keystone.tokens["t"] = vouched("p", expires_at=30.0)
    await scene.caller("t")
    scene.now = 30.0
    with pytest.raises(Unauthenticated):  # by a keystone whose clock is behind ours
        await scene.caller("t")


async def test_without_keystone_what_is_known_is_used_on_and_others_wait(scene: Scene) -> None:
    scene.keystone.tokens |= {"t": vouched("p", expires_at=300.0), "later": vouched("p")}
    await scene.caller("t")
    scene.keystone.is_away = True
    scene.now = RECHECK_S + 1
    assert (await scene.caller("t")).project_id == "p"
    asked = len(scene.keystone.asked)
    assert scene.at_once("t").project_id == "p"
    assert len(scene.keystone.asked) == asked
    with pytest.raises(KeystoneAway) as raised:
        await scene.caller("later")
    assert raised.value.next
    scene.now = 300.0
    with pytest.raises(KeystoneAway):
        await scene.caller("t")
    scene.keystone.is_away = False
    assert (await scene.caller("later")).project_id == "p"


async def test_while_keystone_hangs_known_tokens_do_not_each_wait_for_it(scene: Scene) -> None:
    scene.keystone.tokens |= {name: vouched("p") for name in ("a", "b")}
    await scene.caller("a")
    await scene.caller("b")
    scene.keystone.is_away = True
    scene.now = RECHECK_S + 1
    await scene.caller("a")
    assert scene.at_once("b").project_id == "p"  # though it is time to ask about it
    scene.now += AWAY_S
    scene.keystone.is_away = False
    await scene.caller("b")
    assert scene.keystone.asked == ["a", "b", "a", "b"]


async def test_refusals_are_of_the_one_who_asks(scene: Scene) -> None:
    scene.keystone.tokens["t"] = vouched("")
    for _ in range(2):
        with pytest.raises(Denied, match="no project"):
            await scene.caller("t")
    assert scene.keystone.asked == ["t"]


async def test_tokens_of_the_servers_own_are_known_without_keystone(scene: Scene) -> None:
    assert scene.at_once("secret").is_admin
    assert scene.at_once(scene.own.host_credential("h1")).host == "h1"
    assert scene.at_once(scene.own.controller_credential()).is_controller
    scene.authenticator.learn_revocations({"h1": 1})
    assert scene.authenticator.host_credential("h1") == scene.own.host_credential("h1")
    assert not scene.keystone.asked


@pytest.mark.parametrize("token", ["", "\xe4", "a" * 9000, "a\tb"])
async def test_what_is_no_token_is_refused_without_asking(scene: Scene, token: str) -> None:
    with pytest.raises(Unauthenticated) as raised:
        scene.authenticator.caller({b"x-auth-token": token.encode("latin-1")})
    assert raised.value.challenge.startswith("Keystone uri=")
    assert not scene.keystone.asked


async def test_no_more_are_asked_about_at_once_than_are_bounded(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ASKED_MAX", 1)
    scene.keystone.tokens["t"] = vouched("p")
    scene.keystone.gate.clear()
    first = asyncio.create_task(scene.caller("t"))
    await asyncio.sleep(0)
    with pytest.raises(KeystoneAway, match="being asked about"):
        await scene.caller("u")
    scene.keystone.gate.set()
    assert (await first).project_id == "p"


async def test_what_is_being_asked_ends_with_the_server(scene: Scene) -> None:
    scene.keystone.gate.clear()
    asking = asyncio.create_task(scene.caller("t"))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    await scene.authenticator.close()
    assert scene.keystone.is_closed
    with pytest.raises(asyncio.CancelledError):
        await asking
