from netwright.server.api.ids import new_id

DEVICE_NAME_CHARACTERS = 11


def test_ids_made_together_give_devices_their_own_names() -> None:
    ids = [new_id() for _ in range(1_000)]
    assert len({each[:DEVICE_NAME_CHARACTERS] for each in ids}) == len(ids)
