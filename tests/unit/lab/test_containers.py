"""Containers of a lab, as far as they need none: what their runtime tells the plugin, and hears."""

import pytest

from netwright.cni.protocol import NEWEST
from netwright.lab import runtime, spec, state
from netwright.lab.containers import Pod, arguments, attached
from netwright.lab.nodes.host import cni_socket_path
from netwright.lab.places import Attachment, Instance, Placed
from netwright.lab.runtime import Answer
from netwright.lab.status import LabStatus, NodeStatus


def test_the_plugin_is_told_labels_and_no_network() -> None:
    lab = state.make_handle(spec.preset("containers"), "demo")
    told = runtime.configuration(lab, "host1", "env=prod,tier=web", waitFor="active")
    assert told == {
        "cniVersion": NEWEST,
        "name": "pods",
        "type": "netwright",
        "labels": "env=prod,tier=web",
        "capabilities": {"bandwidth": True},
        "agentSocket": str(cni_socket_path(lab, "host1")),
        "waitFor": "active",
    }


def test_a_pods_labels_are_told_as_arguments() -> None:
    pod = Pod("web-0", "host1", "env=prod", {"app": "web", "example.com/ordinal": "0"})
    assert arguments(pod, "c0") == (
        "IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=web-0;"
        "K8S_POD_INFRA_CONTAINER_ID=c0;"
        "NETWRIGHT_LABEL_app=web;NETWRIGHT_LABEL_example.com/ordinal=0"
    )


def test_a_container_has_what_its_result_says() -> None:
    before = Instance("c0", mac="", addresses=(), device_id="web-0")
    result = {
        "interfaces": [
            {"name": "nwc1", "mac": "fa:16:3e:00:00:0f"},
            {"name": "eth0", "mac": "fa:16:3e:00:00:01", "mtu": 1400, "sandbox": "/run/netns/x"},
        ],
        "ips": [
            {"address": "10.8.0.2/24", "gateway": "10.8.0.1", "interface": 1},
            {"address": "fd00:8::2/64", "interface": 1},
        ],
    }
    assert attached(before, result) == Instance(
        "c0",
        mac="fa:16:3e:00:00:01",
        addresses=("10.8.0.2/24", "fd00:8::2/64"),
        gateways=("10.8.0.1",),
        mtu=1400,
        device_id="web-0",
    )


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (Answer(0, None, 0.1), ""),
        (Answer(1, {"code": 11, "msg": "the agent is away"}, 0.1), "code 11: the agent is away"),
        (
            Answer(1, {"code": 101, "msg": "no network", "details": "label one"}, 0.1),
            "code 101: no network; label one",
        ),
        (Answer(1, None, 0.1), "code ?: nothing was said"),
    ],
)
def test_an_error_in_words(answer: Answer, words: str) -> None:
    assert answer.error == words


def test_an_instances_kind() -> None:
    host = NodeStatus("host1", "host", "n", namespace_exists=True, processes={})
    metal = NodeStatus("metal1", "baremetal", "n", namespace_exists=True, processes={})
    lab = LabStatus("demo", (host, metal), (), ())
    one = Instance("i", mac="", addresses=())
    kinds = [
        lab.kind_of(Placed(one, "host1", "n")),
        lab.kind_of(Placed(one, "metal1", "n")),
        lab.kind_of(Placed(one, "host1", "n", Attachment({}, ""))),
    ]
    assert kinds == ["VM", "bare metal", "container"]
