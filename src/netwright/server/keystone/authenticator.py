"""Who asks, as keystone has it; hosts, controllers and the admin token are known here as before."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Protocol

import structlog

from netwright.model.errors import Unauthenticated
from netwright.server.auth import TokenAuthenticator, token_of
from netwright.server.commands import Caller
from netwright.server.keystone.known import AWAY_S, KnownTokens, key_of
from netwright.server.keystone.service import KeystoneAway
from netwright.server.keystone.tokens import Vouched, caller_of, is_possible
from netwright.server.rights.rules import Rules

ASKED_MAX = 1000
"""Tokens that are asked about at once; more are refused as they come."""

_log = structlog.get_logger("netwright.server.keystone")


class Voucher(Protocol):
    """Keystone, as far as it is asked."""

    @property
    def url(self) -> str: ...

    async def vouch(self, token: str) -> Vouched | None: ...

    async def close(self) -> None: ...


class KeystoneAuthenticator:
    """`public_url` is where clients are told to get tokens."""

    def __init__(
        self,
        tokens: TokenAuthenticator,
        keystone: Voucher,
        rules: Rules,
        known: KnownTokens,
        *,
        public_url: str,
        now: Callable[[], float],
    ) -> None:
        self._tokens = tokens
        self._keystone = keystone
        self._rules = rules
        self._known = known
        self._challenge = f'Keystone uri="{public_url}"'
        self._now = now
        self._asked: dict[bytes, asyncio.Task[Vouched | None]] = {}
        self._away_until = 0.0  # known tokens are used until then without asking; 0: it is there

    def caller(self, headers: Mapping[bytes, bytes]) -> Caller | Awaitable[Caller]:
        token = token_of(headers)
        if token is None:
            raise self._unauthenticated("The request names nobody.")
        own = self._tokens.of_own(token, headers)
        if own is not None:
            return own
        if not is_possible(token):
            raise self._unauthenticated("The token is none of keystone's.")
        key, now = key_of(token), self._now()
        answer = self._known.fresh(key, now)
        if answer is not None:
            return self._bearer(answer.vouched)
        if now < self._away_until:
            before = self._known.without_keystone(key, now)
            if before is not None:
                return self._bearer(before)
        return self._ask(key, token.decode())

    def host_credential(self, host: str) -> str:
        return self._tokens.host_credential(host)

    def controller_credential(self) -> str:
        return self._tokens.controller_credential()

    def learn_revocations(self, revocations: Mapping[str, int]) -> None:
        self._tokens.learn_revocations(revocations)

    async def close(self) -> None:
        for task in self._asked.values():
            task.cancel()
        if self._asked:
            await asyncio.wait(self._asked.values())
        await self._keystone.close()

    async def _ask(self, key: bytes, token: str) -> Caller:
        """The caller when keystone has said so, once for all requests that wait for it."""
        task = self._asked.get(key)
        if task is None:
            if len(self._asked) >= ASKED_MAX:
                raise KeystoneAway(
                    f"Keystone at {self._keystone.url} is being asked about {ASKED_MAX} tokens.",
                    next="Try again.",
                )
            task = asyncio.create_task(self._learn(key, token), name="a token's bearer")
            self._asked[key] = task
            task.add_done_callback(partial(self._answered, key))
        return self._bearer(await asyncio.shield(task))  # who gives up leaves the others waiting

    def _answered(self, key: bytes, task: asyncio.Task[Vouched | None]) -> None:
        del self._asked[key]
        if not task.cancelled():
            task.exception()  # retrieved, though all that waited for it may have given up

    async def _learn(self, key: bytes, token: str) -> Vouched | None:
        try:
            vouched = await self._keystone.vouch(token)
        except KeystoneAway as error:
            self._note(error)
            before = self._known.without_keystone(key, self._now())
            if before is None:
                raise
            return before
        self._note(None)
        now = self._now()
        self._known.learn(key, vouched, now)
        return vouched if vouched is None or vouched.expires_at > now else None

    def _bearer(self, vouched: Vouched | None) -> Caller:
        if vouched is None:
            raise self._unauthenticated("The token is not known to keystone, or no more.")
        return caller_of(vouched, self._rules)

    def _unauthenticated(self, message: str) -> Unauthenticated:
        error = Unauthenticated(message, next="Get a token of keystone; send it in X-Auth-Token.")
        error.challenge = self._challenge
        return error

    def _note(self, error: KeystoneAway | None) -> None:
        """A line when keystone goes away, and one when it is back."""
        if error is not None and not self._away_until:
            _log.error("keystone is away", why=error.message, next=error.next)
        elif error is None and self._away_until:
            _log.info("keystone is back", url=self._keystone.url)
        self._away_until = 0.0 if error is None else self._now() + AWAY_S
