"""Keeps what the server says of the security groups that the host's ports need.

    want {A, B} ─▶ watch of A, B                     one watch for a set
    want {A, B, C} ─▶ and one of C alone             nothing is read twice
    past WATCHES_MAX, or refused ─▶ new ones for all wanted; in sync, they replace the others

A group that is wanted no more stays until the next replacement: it costs memory, no flows. A server
that refuses a watch (a group of it is no longer this host's to know) gets one for what is wanted
now; until that is in sync, what was known stays.
"""

import asyncio
from collections.abc import Callable, Iterable
from typing import NoReturn

import structlog

from netwright.agent.groups import NO_GROUPS, KnownGroups
from netwright.agent.members import Members
from netwright.client.mirror import Key, Mirror
from netwright.client.watch import Watch, WatchSource
from netwright.model.errors import Denied, NetwrightError
from netwright.model.security import GroupMember
from netwright.model.wire import Kind

KINDS = (Kind.SECURITY_GROUP, Kind.GROUP_MEMBER)
WATCHES_MAX = 8
GROUPS_IN_A_WATCH_MAX = 500
"""Their ids stand in the request's line: some 20 kB."""

log = structlog.get_logger(__name__)


class _Watched:
    """One watch and what it has told."""

    def __init__(self, groups: frozenset[str]) -> None:
        self.groups = groups
        self.mirror = Mirror()
        self.task: asyncio.Task[NoReturn] | None = None
        self.trouble = ""

    def close(self) -> None:
        if self.task is not None:
            self.task.cancel()


class GroupWatches:
    """`known` is another value whenever something came; `on_change` is called then."""

    def __init__(
        self, source: WatchSource, *, jitter: Callable[[], float], on_change: Callable[[], None]
    ) -> None:
        self.known: KnownGroups = NO_GROUPS
        self._source = source
        self._jitter = jitter
        self._on_change = on_change
        self._wanted: frozenset[str] = frozenset()
        self._remote: frozenset[str] = frozenset()
        self._members = Members()
        self._watched: list[_Watched] = []
        self._replacing: list[_Watched] = []
        self._is_refused = False
        self._due = asyncio.Event()

    def want(self, groups: frozenset[str], remote: frozenset[str]) -> None:
        """From now on these are needed, and the members of the `remote`; `run` sees to it."""
        if groups != self._wanted:
            self._wanted = groups
            self._due.set()
        if remote != self._remote:
            self._remote = remote
            self._members.change(self._all_members())
            self._tell(rules_changed=False)

    async def run(self) -> NoReturn:
        """Hold the watches until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            while True:
                await self._due.wait()
                self._due.clear()
                for watched in self._to_open():
                    watched.task = tasks.create_task(self._watch(watched), name="watch of groups")
        raise AssertionError("it ends by cancellation alone")

    def state(self) -> dict[str, int]:
        """Bounded, for an operator."""
        return {
            "groups_wanted": len(self._wanted),
            "groups_known": len(self.known.groups),
            "group_watches": len(self._watched) + len(self._replacing),
        }

    def _to_open(self) -> list[_Watched]:
        covered: set[str] = set()
        for watched in self._replacing or self._watched:
            covered |= watched.groups
        opened = _watches_of(self._wanted - covered)
        (self._replacing or self._watched).extend(opened)
        whole = _watches_of(self._wanted)
        is_due = self._is_refused or len(self._watched) > max(WATCHES_MAX, len(whole))
        self._is_refused = False
        if is_due and not self._is_being_replaced_by(whole):
            for watched in self._replacing:
                watched.close()
            self._replacing = whole
            return [one for one in opened if one in self._watched] + whole
        return opened

    def _is_being_replaced_by(self, whole: list[_Watched]) -> bool:
        wanted = frozenset[str]().union(*(one.groups for one in whole))
        coming = frozenset[str]().union(*(one.groups for one in self._replacing))
        return bool(self._replacing) and coming == wanted

    async def _watch(self, watched: _Watched) -> NoReturn:
        def on_change(changed: frozenset[Key]) -> None:
            self._take(watched, changed)

        def on_stream(end: NetwrightError | None) -> None:
            if end is not None and end.message != watched.trouble:
                log.info("watch of groups broke off", groups=len(watched.groups), why=end.message)
            watched.trouble = end.message if end is not None else watched.trouble
            if isinstance(end, Denied):
                self._refused(watched)

        watch = Watch(
            self._source,
            watched.mirror,
            kinds=KINDS,
            groups=sorted(watched.groups),
            jitter=self._jitter,
            on_change=on_change,
            on_stream=on_stream,
        )
        await watch.run()

    def _refused(self, watched: _Watched) -> None:
        """Ask for what is wanted now, unless that is what was refused: then it is tried again."""
        if not watched.groups <= self._wanted:
            self._is_refused = True
            self._due.set()

    def _take(self, watched: _Watched, changed: frozenset[Key]) -> None:
        if watched in self._replacing:
            if not all(one.mirror.complete for one in self._replacing):
                return
            for one in self._watched:
                one.close()
            self._watched, self._replacing = self._replacing, []
            self._members.change(self._all_members())
            self._tell(rules_changed=True)
            return
        if watched not in self._watched:
            return
        members = watched.mirror.group_members
        self._members.change(
            {key.id: members.get(key.id) for key in changed if self._is_wanted_member(key)}
        )
        self._tell(rules_changed=any(key.kind is Kind.SECURITY_GROUP for key in changed))

    def _is_wanted_member(self, key: Key) -> bool:
        return key.kind is Kind.GROUP_MEMBER and key.id.rpartition("@")[2] in self._remote

    def _all_members(self) -> dict[str, GroupMember | None]:
        found: dict[str, GroupMember | None] = dict.fromkeys(self._members.ids())
        for watched in self._watched:
            members = watched.mirror.group_members.items()
            found.update({id_: one for id_, one in members if one.group_id in self._remote})
        return found

    def _tell(self, *, rules_changed: bool) -> None:
        synced = frozenset(
            group for one in self._watched if one.mirror.complete for group in one.groups
        )
        groups = self.known.groups
        if rules_changed:
            groups = {
                group_id: group
                for one in self._watched
                for group_id, group in one.mirror.security_groups.items()
            }
        before, memberships = self.known, self._members.memberships
        is_same = groups is before.groups and memberships is before.memberships
        self.known = KnownGroups(
            groups=groups,
            synced=synced,
            members_of=synced & self._remote,
            memberships=memberships,
        )
        if not (is_same and self._stands(before)):
            self._on_change()

    def _stands(self, before: KnownGroups) -> bool:
        now = self.known
        return (now.synced, now.members_of) == (before.synced, before.members_of)


def _watches_of(groups: Iterable[str]) -> list[_Watched]:
    ids = sorted(groups)
    return [
        _Watched(frozenset(ids[start : start + GROUPS_IN_A_WATCH_MAX]))
        for start in range(0, len(ids), GROUPS_IN_A_WATCH_MAX)
    ]
