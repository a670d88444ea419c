"""What is kept of pods and namespaces."""

from netwright.agent.cni.kubernetes.known import ANNOTATION_LENGTH_MAX, Known
from netwright.kubernetes.objects import Change, Metadata, Owner


def metadata(uid: str = "uid-a", **more: str) -> Metadata:
    return Metadata(namespace="web", name="a", uid=uid, annotations=more)


def known() -> Known:
    made = Known("node1")
    made.put_namespace(Metadata(name="web"))
    made.put_pod(metadata())
    return made


def test_the_end_of_an_older_pod_is_not_that_of_the_one_that_has_its_name_now() -> None:
    found = known()
    found.put_pod(metadata("uid-next"))
    found.change_pod(Change.DELETED, metadata("uid-a"))
    assert found.pod("web", "a", "uid-next") is not None
    found.change_pod(Change.DELETED, metadata("uid-next"))
    assert found.pod("web", "a", "") is None


def test_a_list_ends_what_it_does_not_name() -> None:
    found = known()
    found.replace_pods([])
    assert found.pod("web", "a", "uid-a") is None
    found = known()
    found.replace_namespaces([])
    assert found.pod("web", "a", "uid-a") is None


def test_news_that_change_nothing_of_what_is_kept_are_none() -> None:
    """A kubelet writes a pod's state all the time: the file is not written for that."""
    found = known()
    found.encode()
    found.change_pod(Change.MODIFIED, metadata())
    found.change_namespace(Change.MODIFIED, Metadata(name="web", annotations={"other.io/a": "b"}))
    assert not found.is_changed
    found.change_pod(Change.MODIFIED, metadata(zone="b"))
    assert found.is_changed


def test_what_is_too_long_for_names_is_not_kept_but_what_is_ours() -> None:
    found, long = known(), "x" * (ANNOTATION_LENGTH_MAX + 1)
    found.put_pod(metadata(tools=long, short="y", **{"netwright.io/network-labels": long}))
    pod = found.pod("web", "a", "uid-a")
    assert pod is not None
    assert pod.annotations == {"short": "y", "netwright.io/network-labels": long}


def test_the_owner_is_the_controller() -> None:
    def owner(name: str, *, controller: bool) -> Owner:
        return Owner(api_version="v1", kind="Any", name=name, uid=name, controller=controller)

    found = known()
    owners = (owner("other", controller=False), owner("controller", controller=True))
    found.put_pod(Metadata(namespace="web", name="a", uid="uid-a", owner_references=owners))
    pod = found.pod("web", "a", "uid-a")
    assert pod is not None
    assert pod.owner is not None
    assert pod.owner.name == "controller"


def test_what_is_encoded_is_known_again_on_the_same_node_alone() -> None:
    content = known().encode()
    again, elsewhere = Known("node1"), Known("node2")
    again.decode(content)
    elsewhere.decode(content)
    assert again.pod("web", "a", "uid-a") == known().pod("web", "a", "uid-a")
    assert len(elsewhere) == 0
