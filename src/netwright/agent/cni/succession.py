"""Containers of one host that have one name, one after the other: the older ends first.

    the older is attached, its veth is there        waited for: its runtime ends it (DEL)
    the older's veth is gone, or its port has moved it is ended here, as by DEL
    nothing is left of it but what the server knows the newer replaces it, and says so to the server

A runtime may begin a pod's next container before it has ended the last one. Names with {slot} are
not waited for: the server gives another number.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

import structlog

from netwright.agent.cni.made import mark_of
from netwright.agent.cni.records import Key, Record, Records, Stage
from netwright.cni.protocol import CniError, Code
from netwright.model.containers import SLOT
from netwright.model.wire import ContainerPort

LOOK_AGAIN_S = 1.0
"""How often it is looked whether a container has died that nobody ends."""

log = structlog.get_logger(__name__)


class Links(Protocol):
    async def links(self) -> Mapping[str, str]: ...


class Succession:
    """`end` ends a container as DEL does."""

    def __init__(
        self, records: Records, veths: Links, end: Callable[[Key], Awaitable[None]]
    ) -> None:
        self._records = records
        self._veths = veths
        self._end = end

    async def come(self, key: Key, claim: ContainerPort, tell: Callable[[str], None]) -> str:
        """Return when the name is free here: the id of the container to replace, or "".

        `tell` is told in words what is waited for. The caller records its claim before it awaits
        anything else. Raises CniError when it is the same container's other interface.
        """
        while True:
            before = self._of_name(key, claim)
            ended = [one.container_id for one in before if one.stage is Stage.RELEASING]
            if SLOT in claim.unique_name:
                return next(iter(set(ended) - self._replaced(claim)), "")
            if len(before) == len(ended) <= 1:
                return "".join(ended)
            tell(f"'{claim.unique_name}' is still {_words(before)}'s on this host")
            if not await self._end_dead(before):
                await self._wait(before)

    def _of_name(self, key: Key, claim: ContainerPort) -> list[Record]:
        found = []
        for one in self._records.all().values():
            name = one.claim.unique_name if one.claim is not None else one.unique_name
            if one.key == key or name != claim.unique_name:
                continue
            if one.container_id == key[0]:
                raise CniError(
                    Code.INVALID_CONFIGURATION,
                    f"{one.ifname} and {key[1]} of container {key[0]} would have one port name,"
                    f" '{claim.unique_name}'",
                    next="put {ifname} into portName",
                )
            found.append(one)
        return found

    def _replaced(self, claim: ContainerPort) -> set[str]:
        """By containers that come to this name at the same time."""
        claims = (one.claim for one in self._records.all().values())
        return {one.replaces for one in claims if one and one.unique_name == claim.unique_name}

    async def _end_dead(self, before: list[Record]) -> bool:
        """End one that no container can be living by any more; whether there was one."""
        links = await self._veths.links()
        for one in before:
            if one.stage is not Stage.ATTACHED or one.fit is None:
                continue
            is_gone = links.get(one.fit.device) != mark_of(one.container_id)
            if one.moved or is_gone:
                why = one.moved or "its interface is gone"
                log.info("a container makes way", container=one.container_id, ifname=one.ifname,
                         why=why, name=one.unique_name)  # fmt: skip
                await self._end(one.key)
                return True
        return False

    async def _wait(self, before: list[Record]) -> None:
        """For one of them to change; others' changes cost no look at the host."""
        try:
            async with asyncio.timeout(LOOK_AGAIN_S):
                while all(self._records.get(one.key) is one for one in before):
                    await self._records.changed()
        except TimeoutError:
            return


def _words(before: list[Record]) -> str:
    return ", ".join(f"container {one.container_id}" for one in before)
