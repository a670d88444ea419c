"""Containers that come and go on a fabric while all that serves them dies.

That is agents, their server, the fabric's controller, leaves, switch daemons, front ends.

It plays the runtime of each host, and remembers what a runtime remembers: which containers it was
answered for. A container is

    begun     it has a namespace; what an ADD or DEL made of it is not known
    live      ADD was answered, and nothing else was asked since
    left      it runs on where nobody hears of it, and its successor was added on another host
    gone      DEL was answered, or its namespace is no more

Once in a while a host falls silent: its agent stands still or is gone, or its control is cut and
its data plane lives. Nothing is asked of it then, and after a time pods that have names leave it.

All that happens follows from a seed, as far as the order of a machine's threads lets it.
"""

import random
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, NamedTuple, TypeAlias

from tests.lab.audited import Container
from tests.lab.cni_runtime import Answer, Running, Runtime
from tests.lab.cutting_proxy import CuttingProxy

from netwright.lab import faults
from netwright.lab.orchestrator import eventually
from netwright.lab.state import Lab

Name: TypeAlias = tuple[str, str]
"""A host and a container's name there."""

ACTS_MIN, ACTS_MAX = 3, 8
LIVE_MAX, EBB_LIVE = 24, 4
"""Containers come until there are that many, then go until few are left: networks leave hosts."""
DEADLINE_S = 6
SOON_S = 60.0
IMPATIENT_S = 0.12
SERVER, CONTROLLER = "process:mgmt/server", "process:mgmt/fabric"
SILENT_EVERY_S, SILENT_S, LEAVE_AFTER_S = 60.0, 27.0, 16.0
"""How often a host falls silent, for how long, and when its pods begin to leave it."""
QUIET_FIRST_S = 4.0
LOSSES = (0.0, 0.0, 0.1, 0.4)
"""Shares of requests that are lost in a round."""
OLD_SHARE, COLLECT_SHARE, NAMED_SHARE, DELETED_SHARE = 0.5, 0.15, 0.4, 0.5
KEEP = "60s"
"""Longer than from a container's end to its next beginning elsewhere."""
BREAKS = {
    "agent": 0.3,
    "server": 0.1,
    "server halted": 0.1,
    "controller": 0.08,
    "ovs": 0.04,
    "leaf": 0.02,
}
"""How often a round has them."""
OF_SERVER = ("server", "server halted")
SILENCES = (("process:{}/agent", True), ("process:{}/agent", False), ("link:mgmt-{}", True))
"""What makes a host silent, and whether it is only halted, or loses frames."""


What: TypeAlias = Callable[[Name, float], None]
Whats: TypeAlias = tuple[What, ...]


class Act(NamedTuple):
    """What becomes of one container in a round; `luck` in [0, 1) is its own."""

    what: What
    name: Name
    luck: float


class Silence(NamedTuple):
    host: str
    fault: str
    since: float


class Chaos:
    """`round` after `round`; between them the product alone is at work."""

    def __init__(
        self,
        lab: Lab,
        runtimes: Sequence[Runtime],
        proxies: Sequence[CuttingProxy],
        leaves: Sequence[str],
        seed: int,
    ) -> None:
        self.live: dict[Name, Container] = {}
        self.begun: set[Name] = set()
        self.left: set[Name] = set()
        self.counts: Counter[str] = Counter()
        self._lab = lab
        self._runtimes = {one.host: one for one in runtimes}
        self._hosts = sorted(self._runtimes)
        self._proxies = proxies
        self._leaves = leaves
        self._random = random.Random(seed)
        self._number = 0
        self._pods: dict[Name, str] = {}
        self._before: dict[Name, Container] = {}
        self._ebbs = False
        self._silence: Silence | None = None
        self._next_silence = time.monotonic() + QUIET_FIRST_S

    def left_behind(self) -> set[str]:
        """Namespaces of those that run on unheard."""
        return {self._runtimes[host].namespace(container) for host, container in self.left}

    def round(self) -> None:
        """Verbs at once, with what breaks meanwhile; all is mended at its end."""
        for proxy in self._proxies:
            proxy.share = self._random.choice(LOSSES)
        self._tend_silence()
        acts, breaks = self._acts(), self._breaks()
        with ThreadPoolExecutor(len(acts) + len(breaks) + 1) as pool:
            done = [pool.submit(one.what, one.name, one.luck) for one in acts]
            done += [pool.submit(one) for one in breaks]
            for each in done:
                each.result()
        if self._random.random() < COLLECT_SHARE:
            self._collect(self._random.choice(self._heard()))
        self.counts["rounds"] += 1

    def settle(self) -> None:
        """Nothing breaks any more; the runtime ends what it does not know to be live."""
        for proxy in self._proxies:
            proxy.share = 0.0
        self._end_silence()
        for host in self._hosts:
            self._insist("STATUS", (host, ""))
        for name in sorted(self.begun):
            self._insist("DEL", name)
            self._end(name)
        self.counts["calms"] += 1

    def end_all(self) -> None:
        for name in sorted(self.live):
            answer = self._run("DEL", name)
            assert answer.code == 0, (name, answer)
            self._end(name)

    # -- containers

    def _acts(self) -> list[Act]:
        """Each for another container: a runtime does one thing at a time to one."""
        known = [name for name in sorted(self.live) + sorted(self.begun) if self._may_act(name)]
        self._random.shuffle(known)
        self._ebbs = len(self.live) > (EBB_LIVE if self._ebbs else LIVE_MAX)
        acts: list[Act] = []
        add = self._add
        of_new: Whats = (add, add, add, self._add_twice, self._add_impatiently)
        of_live: Whats = (self._delete, self._delete, self._kill, self._restart)
        of_named: Whats = (*of_live, self._drift, self._drift, self._drift)
        of_begun: Whats = (self._delete, self._kill_then_delete, add)
        for _ in range(self._random.randint(ACTS_MIN, ACTS_MAX)):
            if known and (self._ebbs or self._random.random() < OLD_SHARE):
                name = known.pop()
                whats = of_live if name in self.live else of_begun
                whats = of_named if name in self.live and name in self._pods else whats
                whats = whats if self._is_heard(name[0]) else (self._leave,)
            else:
                name, whats = self._begin(), of_new
            if (before := self.live.pop(name, None)) is not None:
                self._before[name] = before
            self.begun.add(name)
            acts.append(Act(self._random.choice(whats), name, self._random.random()))
        return acts

    def _begin(self) -> Name:
        self._number += 1
        name = self._random.choice(self._heard()), f"c{self._number}"
        self._runtimes[name[0]].begin(name[1])
        if self._random.random() < NAMED_SHARE:
            self._pods[name] = f"pod{self._number}"
        return name

    def _end(self, name: Name) -> None:
        """Its namespace goes; nobody speaks of it any more."""
        self._runtimes[name[0]].end_namespaces(name[1])
        self.begun.discard(name)
        self.live.pop(name, None)

    def _add(self, name: Name, _luck: float) -> None:
        self._answered(name, self._run("ADD", name))

    def _add_twice(self, name: Name, _luck: float) -> None:
        first, second = self._start("ADD", name), self._start("ADD", name)
        answers = [first.finish(), second.finish()]
        assert [each.code for each in answers] != [0, 0], f"{name} was added twice"
        for each in answers:
            self._answered(name, each)

    def _add_impatiently(self, name: Name, luck: float) -> None:
        """Its front end is killed: nobody hears the answer."""
        running = self._start("ADD", name)
        time.sleep(luck * IMPATIENT_S)
        running.process.kill()
        running.process.communicate()
        self.counts["front ends killed"] += 1

    def _delete(self, name: Name, _luck: float) -> None:
        if self._run("DEL", name).code == 0:
            self._end(name)
            self.counts["deleted"] += 1

    def _restart(self, name: Name, _luck: float) -> None:
        """As podman does: the same id, in the same namespace."""
        if self._run("DEL", name).code == 0:
            self._answered(name, self._run("ADD", name))

    def _drift(self, name: Name, luck: float) -> None:
        """It ends here, with DEL or without, and is there on another host, with its address."""
        ended = luck < DELETED_SHARE and self._run("DEL", name).code == 0
        self._end(name)
        other = self._elsewhere(name, luck)
        self._answered(other, self._run("ADD", other))
        self._count_drift(name, other, "drifted after DEL" if ended else "drifted without DEL")

    def _leave(self, name: Name, luck: float) -> None:
        """Its host is not heard, where it runs on; the one elsewhere has to wait for the fence."""
        self.begun.discard(name)
        self.left.add(name)
        other = self._elsewhere(name, luck)
        self._insist("ADD", other)
        self._count_drift(name, other, "left a silent host")

    def _elsewhere(self, name: Name, luck: float) -> Name:
        """The pod's next container, begun on another host."""
        host, container = name
        others = [each for each in self._heard() if each != host]
        there = others[int(luck * len(others))]
        other = there, f"{container}d"
        while other in self.begun or other in self.live or other in self.left:
            other = there, f"{other[1]}d"
        self._pods[other] = self._pods[name]
        self.begun.add(other)
        self._runtimes[there].begin(other[1])
        return other

    def _count_drift(self, name: Name, other: Name, what: str) -> None:
        if (there := self.live.get(other)) is not None:
            before = self._before[name]
            assert there.addresses == before.addresses, (before, there)
            self.counts[what] += 1

    def _kill(self, name: Name, _luck: float) -> None:
        self._end(name)
        self.counts["died without DEL"] += 1

    def _kill_then_delete(self, name: Name, _luck: float) -> None:
        self._end(name)
        self._run("DEL", name, CNI_NETNS="")

    def _answered(self, name: Name, answer: Answer) -> None:
        if answer.code != 0:
            self.counts[f"ADD refused, code {answer.out['code']}"] += 1
            return
        host, container = name
        runtime = self._runtimes[host]
        (inside,) = [each for each in answer.out["interfaces"] if "sandbox" in each]
        self.live[name] = Container(
            id=runtime.environment("ADD", container)["CNI_CONTAINERID"],
            host=host,
            namespace=runtime.namespace(container),
            mac=inside["mac"],
            addresses=frozenset(str(ip["address"]).partition("/")[0] for ip in answer.out["ips"]),
        )
        self.begun.discard(name)
        self.counts["added"] += 1

    def _collect(self, host: str) -> None:
        """All that the runtime does not know to be live: of what is begun it learns nothing."""
        ids = [one.id for (where, _), one in self.live.items() if where == host]
        valid = [{"containerID": one, "ifname": "eth0"} for one in ids]
        self._run("GC", (host, ""), config={"cni.dev/valid-attachments": valid})
        self.counts["collected"] += 1

    def _insist(self, verb: str, name: Name) -> None:
        """As a runtime does, which tries again."""

        def succeeds() -> bool:
            answer = self._run(verb, name)
            if verb == "ADD":
                self._answered(name, answer)
            return answer.code == 0

        assert eventually(succeeds, SOON_S), f"{verb} of {name} still fails after {SOON_S:g} s"

    def _run(
        self, verb: str, name: Name, *, config: Mapping[str, Any] = {}, **variables: str
    ) -> Answer:
        return self._start(verb, name, config=config, **variables).finish()

    def _start(
        self, verb: str, name: Name, *, config: Mapping[str, Any] = {}, **variables: str
    ) -> Running:
        host, container = name
        whole = {"deadlineSeconds": DEADLINE_S, **config}
        if (pod := self._pods.get(name)) is not None:
            whole |= {"portName": "chaos/{labels.pod}", "keep": KEEP}
            variables["CNI_ARGS"] = f"IgnoreUnknown=1;NETWRIGHT_LABEL_pod={pod}"
        return self._runtimes[host].start(verb, container, config=whole, **variables)

    # -- what breaks

    def _heard(self) -> list[str]:
        return [host for host in self._hosts if self._is_heard(host)]

    def _is_heard(self, host: str) -> bool:
        return self._silence is None or self._silence.host != host

    def _may_act(self, name: Name) -> bool:
        """Of a silent host only pods with names leave, when its silence has lasted."""
        if self._silence is None or name[0] != self._silence.host:
            return True
        lasted = time.monotonic() - self._silence.since > LEAVE_AFTER_S
        return lasted and name in self.live and name in self._pods

    def _tend_silence(self) -> None:
        now = time.monotonic()
        if self._silence is None and now > self._next_silence:
            named = Counter(host for host, _ in self.live.keys() & self._pods.keys())
            host = max(self._hosts, key=lambda each: named[each])
            words, silent = self._random.choice(SILENCES)
            fault = words.format(host)
            faults.fail(self._lab, fault, silent=silent)
            self._silence = Silence(host, fault, now)
            self._next_silence = now + SILENT_EVERY_S
            self.counts["hosts silent"] += 1
        elif self._silence is not None and now - self._silence.since > SILENT_S:
            self._end_silence()

    def _end_silence(self) -> None:
        """It is heard again; the runtime ends there what runs elsewhere."""
        if self._silence is None:
            return
        faults.heal(self._lab, self._silence.fault)
        self._silence = None
        for name in sorted(self.left):
            self._insist("DEL", name)
            self._end(name)
            self.left.discard(name)

    def _breaks(self) -> list[Callable[[], None]]:
        found: list[Callable[[], None]] = []
        for what, share in BREAKS.items():
            lucks = self._random.random(), self._random.random()
            host, leaf = self._random.choice(self._heard()), self._random.choice(self._leaves)
            listens = self._silence is None or what not in OF_SERVER  # or it would judge nobody
            if self._random.random() < share and listens:
                found.append(partial(self._break, what, host, leaf, lucks))
        return found

    def _break(self, what: str, host: str, leaf: str, lucks: tuple[float, float]) -> None:
        targets = {
            "agent": f"process:{host}/agent",
            "ovs": f"process:{host}/ovs-vswitchd",
            "controller": CONTROLLER,
            "leaf": f"node:{leaf}",
        }
        target = targets.get(what, SERVER)
        time.sleep(lucks[0])
        faults.fail(self._lab, target, silent=what == "server halted")
        time.sleep(lucks[1])
        faults.heal(self._lab, target)
        self.counts[f"{what} broken"] += 1
