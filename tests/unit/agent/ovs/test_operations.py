from netwright.agent.ovs.changes import AddBridge, AddPort, NewInterface, RemovePort, SetColumns
from netwright.agent.ovs.operations import cfg_number, operations, taking_up


def test_a_bridge_comes_with_its_local_port() -> None:
    interface, port, bridge, root = operations([AddBridge("br-int", "netdev", None, 9000)])
    assert interface["row"]["type"] == "internal"
    assert interface["row"]["mtu_request"] == 9000
    assert port["row"]["interfaces"] == ["named-uuid", interface["uuid-name"]]
    assert port["row"]["tag"] == ("set", [])
    assert bridge["row"]["fail_mode"] == "secure"
    assert bridge["row"]["external_ids"] == ["map", [["netwright", "bridge"]]]
    assert root["mutations"] == [["bridges", "insert", ["named-uuid", bridge["uuid-name"]]]]


def test_names_within_a_transaction_are_distinct() -> None:
    members = (NewInterface("nic0"), NewInterface("nic1"))
    made = operations(
        [
            AddBridge("br-bond", "netdev"),
            AddPort("br-bond", "bond0", members, bond_mode="active-backup"),
            AddPort("br-bond", "p", (NewInterface("p", "patch", {"peer": "q"}),)),
        ]
    )
    names = [operation["uuid-name"] for operation in made if operation["op"] == "insert"]
    assert len(set(names)) == len(names) == 8


def test_set_columns_waits_for_what_the_plan_saw_and_merges_marks() -> None:
    wait, update, mutate = operations(
        [SetColumns("Port", "u1", "tap0", {"tag": 5, "trunks": ()}, {"a": "b"}, {"tag": None})]
    )
    assert (wait["op"], wait["timeout"], wait["rows"]) == ("wait", 0, [{"tag": ("set", [])}])
    assert update["row"] == {"tag": 5, "trunks": ["set", []]}
    assert mutate["mutations"] == [
        ["external_ids", "delete", ["set", ["a"]]],
        ["external_ids", "insert", ["map", [["a", "b"]]]],
    ]


def test_removing_a_port_leaves_the_bridges_other_ports() -> None:
    (mutate,) = operations([RemovePort("br-int", "u1", "gone")])
    assert mutate["where"] == [["name", "==", "br-int"]]
    assert mutate["mutations"] == [["ports", "delete", ["uuid", "u1"]]]


def test_the_number_to_wait_for_is_the_last_result() -> None:
    assert [operation["op"] for operation in taking_up()] == ["mutate", "select"]
    assert cfg_number([{}, {"count": 1}, {"rows": [{"next_cfg": 12}]}]) == 12
