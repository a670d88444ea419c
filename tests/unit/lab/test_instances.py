"""How the orchestrator's double plugs an instance."""

from netwright.lab.instances import plug_arguments
from netwright.lab.places import Instance


def test_an_instance_is_plugged_the_way_nova_does() -> None:
    instance = Instance(
        id="0b7c3f54-9f0e-4b7e-8d49-0f1a2b3c4d5e",
        mac="fa:16:3e:00:00:01",
        addresses=("10.101.0.5/24",),
        mtu=9000,
        device_id="vm-1",
    )
    assert instance.tap == "tap0b7c3f54-9f"
    assert plug_arguments("demo", instance) == [
        *("--", "add-port", "br-int", "tap0b7c3f54-9f", "tag=4095"),
        *("--", "set", "Interface", "tap0b7c3f54-9f"),
        'external_ids:iface-id="0b7c3f54-9f0e-4b7e-8d49-0f1a2b3c4d5e"',
        'external_ids:iface-status="active"',
        'external_ids:attached-mac="fa:16:3e:00:00:01"',
        'external_ids:vm-uuid="vm-1"',
        'external_ids:netwright-lab="demo"',
        "mtu_request=9000",
    ]
