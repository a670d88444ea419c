"""Keeps what the server says of the security groups that the host's ports need.

    want {A, B} ─▶ watch of A, B                     one watch for a set
    want {A, B, C} ─▶ and one of C alone             nothing is read twice
    want {A, B, C}, members of {B} ─▶ and one of B's members: others' are nobody's need here
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

WATCHES_MAX = 16
GROUPS_IN_A_WATCH_MAX = 500
"""Their ids stand in the request's line: some 20 kB."""

log = structlog.get_logger(__name__)


class _Watched:
    """One watch and what it has told: of these groups their rules, or their members."""

    def __init__(self, kind: Kind, groups: frozenset[str]) -> None:
        self.kind = kind
        self.groups = groups
        self.covered = frozenset(Key(kind, group) for group in groups)
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
        self._wanted: frozenset[Key] = frozenset()
        self._remote: frozenset[str] = frozenset()
        self._members = Members()
        self._watched: list[_Watched] = []
        self._replacing: list[_Watched] = []
        self._is_refused = False
        self._due = asyncio.Event()

    def want(self, groups: frozenset[str], remote: frozenset[str]) -> None:
        """From now on these are needed, and the members of the `remote`; `run` sees to it."""
        rules = (Key(Kind.SECURITY_GROUP, group) for group in groups)
        members = (Key(Kind.GROUP_MEMBER, group) for group in remote)
        wanted = frozenset((*rules, *members))
        if wanted != self._wanted:
            self._wanted = wanted
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
            "groups_wanted": sum(key.kind is Kind.SECURITY_GROUP for key in self._wanted),
            "groups_known": len(self.known.groups),
            "group_watches": len(self._watched) + len(self._replacing),
        }

    def _to_open(self) -> list[_Watched]:
        covered: set[Key] = set()
        for watched in self._replacing or self._watched:
            covered |= watched.covered
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
        wanted = frozenset[Key]().union(*(one.covered for one in whole))
        coming = frozenset[Key]().union(*(one.covered for one in self._replacing))
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
            kinds=(watched.kind,),
            groups=sorted(watched.groups),
            jitter=self._jitter,
            on_change=on_change,
            on_stream=on_stream,
        )
        await watch.run()

    def _refused(self, watched: _Watched) -> None:
        """Ask for what is wanted now, unless that is what was refused: then it is tried again."""
        if not watched.covered <= self._wanted:
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
        complete = [one for one in self._watched if one.mirror.complete]
        synced = _groups_of(Kind.SECURITY_GROUP, complete)
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
            members_of=_groups_of(Kind.GROUP_MEMBER, complete) & self._remote,
            memberships=memberships,
        )
        if not (is_same and self._stands(before)):
            self._on_change()

    def _stands(self, before: KnownGroups) -> bool:
        now = self.known
        return (now.synced, now.members_of) == (before.synced, before.members_of)


def _groups_of(kind: Kind, watches: Iterable[_Watched]) -> frozenset[str]:
    return frozenset(group for one in watches if one.kind is kind for group in one.groups)


def _watches_of(wanted: Iterable[Key]) -> list[_Watched]:
    ids: dict[Kind, list[str]] = {}
    for kind, group in sorted(wanted):
        ids.setdefault(kind, []).append(group)
    return [
        _Watched(kind, frozenset(groups[start : start + GROUPS_IN_A_WATCH_MAX]))
        for kind, groups in ids.items()
        for start in range(0, len(groups), GROUPS_IN_A_WATCH_MAX)
    ]
