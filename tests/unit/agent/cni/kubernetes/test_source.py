"""Pods of this node: by the watch, by a question, from the file; kube-apiserver away and back."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from tests.doubles.kube_lists import KubeLists
from tests.doubles.virtual_time import run

from netwright.agent.cni.kubernetes.known import STATIC_UID
from netwright.agent.cni.kubernetes.source import NAMESPACES, PODS, SAVED_EVERY_S, KubernetesPods
from netwright.agent.cni.pods import Pod, PodUnknownError
from netwright.model.containers import OwnerReference

SET = {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "db", "uid": "uid-set"}
SELECTOR = {"netwright.io/network-labels": "env=prod"}

AT_ONCE_S = 0.001
"""Of virtual time: the loop's next turns, and no timer."""


class Scene:
    def __init__(self, file: Path) -> None:
        self.lists = KubeLists()
        self.lists.put(NAMESPACES, "web", annotations={**SELECTOR, "other.io/key": "not ours"})
        self.lists.put(PODS, "a", "web", labels={"app": "db"}, owner=SET)
        self._file = file
        self.source = self._new()

    def _new(self) -> KubernetesPods:
        return KubernetesPods(self.lists, node="node1", file=self._file, jitter=lambda: 0.5)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[KubernetesPods]:
        """A life of the agent."""
        self.source = self._new()
        task = asyncio.create_task(self.source.run())
        try:
            yield self.source
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def within(self, seconds: float, name: str, uid: str) -> Pod | None:
        try:
            async with asyncio.timeout(seconds):
                return await self.source.pod("web", name, uid)
        except TimeoutError:
            return None

    def questions(self) -> list[str]:
        return [each for each in self.lists.asked if each.startswith("get")]


def played(play: Callable[[Scene], Any], tmp_path: Path) -> None:
    async def main() -> None:
        await play(Scene(tmp_path / "pods.json"))

    run(main())


def test_a_known_pod_costs_no_question(tmp_path: Path) -> None:
    async def play(scene: Scene) -> None:
        async with scene.running() as source:
            found = await source.pod("web", "a", "uid-a")
        assert found == Pod(
            namespace="web",
            name="a",
            uid="uid-a",
            node="node1",
            labels={"app": "db"},
            namespace_annotations=SELECTOR,
            owner=OwnerReference(
                api_version="apps/v1", kind="StatefulSet", name="db", uid="uid-set"
            ),
        )
        assert scene.questions() == []

    played(play, tmp_path)


def test_a_pod_that_the_watch_brings_a_moment_later_costs_none_either(tmp_path: Path) -> None:
    async def play(scene: Scene) -> None:
        async with scene.running() as source:
            await source.pod("web", "a", "uid-a")
            asked = asyncio.create_task(source.pod("web", "b", "uid-b"))
            await asyncio.sleep(0.05)
            scene.lists.put(PODS, "b", "web")
            assert (await asked).uid == "uid-b"
        assert scene.questions() == []

    played(play, tmp_path)


def test_one_that_the_watch_does_not_bring_is_asked_for_once(tmp_path: Path) -> None:
    async def play(scene: Scene) -> None:
        async with scene.running() as source:
            await source.pod("web", "a", "uid-a")
            scene.lists.lags = True
            scene.lists.put(PODS, "b", "web")
            assert (await source.pod("web", "b", "uid-b")).uid == "uid-b"
            await source.pod("web", "b", "uid-b")
        assert scene.questions() == ["get /api/v1/namespaces/web/pods/b"]

    played(play, tmp_path)


def test_a_new_namespaces_annotations_are_awaited_with_its_pod(tmp_path: Path) -> None:
    async def play(scene: Scene) -> None:
        async with scene.running() as source:
            await source.pod("web", "a", "uid-a")
            scene.lists.lags = True
            scene.lists.put(NAMESPACES, "new", annotations=SELECTOR)
            scene.lists.put(PODS, "b", "new")
            found = await source.pod("new", "b", "uid-b")
        assert found.namespace_annotations == SELECTOR

    played(play, tmp_path)


@pytest.mark.parametrize(
    ("change", "uid", "words"),
    [
        (lambda lists: None, "uid-b", "Kubernetes has no pod web/b"),
        (lambda lists: lists.put(PODS, "b", "web", "newer"), "older", "of uid newer; that of uid"),
        (lambda lists: lists.put(PODS, "b", "web", node="node2"), "uid-b", "on node node2, and"),
        (lambda lists: lists.put(PODS, "b", "web", node=""), "uid-b", "not scheduled yet, and"),
    ],
)
def test_what_kubernetes_says_no_of_is_refused_at_once(
    change: Callable[[KubeLists], None], uid: str, words: str, tmp_path: Path
) -> None:
    async def play(scene: Scene) -> None:
        async with scene.running() as source:
            await source.pod("web", "a", "uid-a")
            scene.lists.lags = True
            change(scene.lists)
            with pytest.raises(PodUnknownError, match=words):
                await source.pod("web", "b", uid)

    played(play, tmp_path)


def test_without_a_uid_kubernetes_is_asked_which_pod_has_the_name_now(tmp_path: Path) -> None:
    async def play(scene: Scene) -> None:
        async with scene.running() as source:
            await source.pod("web", "a", "uid-a")
            scene.lists.lags = True
            scene.lists.put(PODS, "a", "web", "uid-of-the-next")
            assert (await source.pod("web", "a", "")).uid == "uid-of-the-next"
            scene.lists.leave()
            assert (await source.pod("web", "a", "")).uid == "uid-of-the-next"

    played(play, tmp_path)


def test_a_static_pod_is_found_by_its_kubelets_uid(tmp_path: Path) -> None:
    async def play(scene: Scene) -> None:
        scene.lists.put(PODS, "s", "web", "of-the-mirror", annotations={STATIC_UID: "of-kubelet"})
        async with scene.running() as source:
            assert (await source.pod("web", "s", "of-kubelet")).uid == "of-the-mirror"

    played(play, tmp_path)


def test_while_kube_apiserver_is_away_known_pods_start_and_others_wait(tmp_path: Path) -> None:
    async def play(scene: Scene) -> None:
        async with scene.running() as source:
            await source.pod("web", "a", "uid-a")
            scene.lists.leave()
            await asyncio.sleep(1)
            assert "connection refused" in source.trouble()
            assert await scene.within(0.1, "a", "uid-a") is not None
            assert await scene.within(55.0, "b", "uid-b") is None
            asked = asyncio.create_task(source.pod("web", "b", "uid-b"))
            await asyncio.sleep(5)
            scene.lists.come_back()
            scene.lists.put(PODS, "b", "web")
            async with asyncio.timeout(20):
                assert (await asked).uid == "uid-b"
            await asyncio.sleep(20)  # of the loop's own time
            assert not source.trouble()

    played(play, tmp_path)


def test_an_agent_that_starts_while_kube_apiserver_is_away_knows_what_the_earlier_did(
    tmp_path: Path,
) -> None:
    async def play(scene: Scene) -> None:
        async with scene.running() as source:
            before = await source.pod("web", "a", "uid-a")
        scene.lists.leave()
        async with scene.running():
            assert await scene.within(1.0, "a", "uid-a") == before
            assert await scene.within(1.0, "b", "uid-b") is None

    played(play, tmp_path)


def test_an_agent_that_is_killed_right_after_its_answer_has_left_what_it_knew(
    tmp_path: Path,
) -> None:
    async def play(scene: Scene) -> None:
        async with scene.running() as source:
            await source.pod("web", "a", "uid-a")
            await asyncio.sleep(SAVED_EVERY_S)
            scene.lists.put(PODS, "b", "web")
            found = await source.pod("web", "b", "uid-b")
            await asyncio.sleep(AT_ONCE_S)
            left = (tmp_path / "pods.json").read_bytes()
        (tmp_path / "pods.json").write_bytes(left)
        scene.lists.leave()
        async with scene.running():
            assert await scene.within(1.0, "b", "uid-b") == found

    played(play, tmp_path)


def test_the_first_news_of_a_life_is_written_at_once(tmp_path: Path) -> None:
    async def play(scene: Scene) -> None:
        async with scene.running() as source:
            await source.pod("web", "a", "uid-a")
        async with scene.running() as source:  # it has nothing to write when it begins
            await source.pod("web", "a", "uid-a")
            scene.lists.put(PODS, "b", "web")
            await source.pod("web", "b", "uid-b")
            await asyncio.sleep(AT_ONCE_S)
            assert b"uid-b" in (tmp_path / "pods.json").read_bytes()

    played(play, tmp_path)


def test_what_changed_while_the_agent_was_not_there_is_known_before_it_answers(
    tmp_path: Path,
) -> None:
    async def play(scene: Scene) -> None:
        async with scene.running() as source:
            await source.pod("web", "a", "uid-a")
        scene.lists.put(NAMESPACES, "web", annotations={"netwright.io/network-labels": "env=test"})
        async with scene.running() as source:
            found = await source.pod("web", "a", "uid-a")
            assert found.namespace_annotations["netwright.io/network-labels"] == "env=test"

    played(play, tmp_path)


def test_a_file_that_is_none_costs_nothing_but_what_it_held(tmp_path: Path) -> None:
    (tmp_path / "pods.json").write_text("{")

    async def play(scene: Scene) -> None:
        async with scene.running() as source:
            assert (await source.pod("web", "a", "uid-a")).uid == "uid-a"
        assert b'"uid-a"' in (tmp_path / "pods.json").read_bytes()

    played(play, tmp_path)


def test_a_watch_that_ends_goes_on_where_it_was_and_lists_anew_only_when_that_is_gone(
    tmp_path: Path,
) -> None:
    async def play(scene: Scene) -> None:
        async with scene.running() as source:
            await source.pod("web", "a", "uid-a")
            lists = scene.lists
            lists.put(PODS, "b", "web")
            await source.pod("web", "b", "uid-b")
            resumed = lists.version
            lists.end_watches()
            lists.put(PODS, "c", "web")
            await asyncio.sleep(2)
            assert f"watch {PODS} {resumed}" in lists.asked
            assert lists.asked.count(f"list {PODS} 0") == 1
            await source.pod("web", "c", "uid-c")
            lists.leave()
            await asyncio.sleep(1)
            lists.delete(PODS, "c", "web")
            lists.forget()
            lists.come_back()
            await asyncio.sleep(20)
            assert f"list {PODS}" in lists.asked
            with pytest.raises(PodUnknownError):
                await source.pod("web", "c", "uid-c")

    played(play, tmp_path)


def test_a_watch_that_breaks_now_and_then_is_back_as_quickly_each_time(tmp_path: Path) -> None:
    async def play(scene: Scene) -> None:
        async with scene.running() as source:
            await source.pod("web", "a", "uid-a")
            for _ in range(8):
                await asyncio.sleep(30)
                scene.lists.leave()
                await asyncio.sleep(0.1)
                assert source.trouble()
                scene.lists.come_back()
                await asyncio.sleep(1)
                assert not source.trouble()

    played(play, tmp_path)
