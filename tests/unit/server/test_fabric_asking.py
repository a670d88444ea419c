"""What waits for the fabric controller is found when it has waited too long, and nothing else."""

from contextlib import closing

from tests.doubles.places import Place
from tests.doubles.store import ADMIN, Store, create, report, reports
from tests.unit.server.overlay_scene import attachments, fabric_store, hold_lease

from netwright.model.fabric import AttachmentReport, FabricReports
from netwright.model.operations import FABRIC, Action, Operation, OperationState
from netwright.model.wire import ReportStatus
from netwright.server.commands import AcceptOperation, Tick
from netwright.server.fabric_commands import AnswerOperation, ApplyFabricReports, AskFabric
from netwright.server.overlay.asking import DONE_WITHIN_S, TAKEN_WITHIN_S
from netwright.server.store.upkeep import late_operations

INSTANCE = "0190c9d2-0000-7000-8000-000000000001"


def asked(store: Store, id_: str) -> None:
    operation = Operation(id=id_, project_id="p", collection=FABRIC, action=Action.PLAN)
    store.do(AskFabric(caller=ADMIN, operation=operation))


def late(store: Store) -> tuple[str, ...]:
    return store.place.run(late_operations(store.place.tx, store.now - TAKEN_WITHIN_S))


def test_what_nobody_took_or_ended_in_time_is_given_up(place: Place) -> None:
    with closing(Store(place)) as store:
        asked(store, "taken")
        asked(store, "alone")
        own = Operation(id="own", project_id="p", collection="ports", action=Action.CREATE)
        store.do(AcceptOperation(caller=ADMIN, operation=own, steps=()))
        assert late(store) == ()
        token = hold_lease(store)
        running = AnswerOperation(
            caller=ADMIN, id="taken", token=token, state=OperationState.RUNNING
        )
        store.do(running)
        store.now += TAKEN_WITHIN_S
        assert set(late(store)) == {"taken", "alone"}, "the server's own are another's to end"
        store.do(Tick(caller=ADMIN, late_operations=late(store)))
        assert late(store) == ("taken",)
        store.now += DONE_WITHIN_S
        store.do(Tick(caller=ADMIN, late_operations=late(store)))
        assert late(store) == ()
        rows = store.rows("SELECT id, state FROM operation ORDER BY id")
        assert [tuple(row) for row in rows] == [
            ("alone", "failed"),
            ("own", "pending"),
            ("taken", "failed"),
        ]


def test_nova_is_told_when_the_overlay_is_up(place: Place) -> None:
    with closing(fabric_store(place)) as store:
        store.tells_nova = True
        (port,) = store.do(
            create("a", "red", host="h1", device_owner="compute:nova", device_id=INSTANCE)
        )
        store.do(reports("h1", report(port, "h1", ReportStatus.UP)))
        assert told(store) == []
        up = AttachmentReport(
            network_id="red",
            host="h1",
            generation=attachments(store)["red", "h1"].generation,
            status=ReportStatus.UP,
        )
        whole = FabricReports(token=hold_lease(store), attachments=(up,))
        store.do(ApplyFabricReports(caller=ADMIN, reports=whole))
        assert told(store) == [("a", "network-vif-plugged", "completed")]


def told(store: Store) -> list[tuple[str, str, str]]:
    rows = store.rows("SELECT port_id, name, status FROM notice")
    return [(port_id, name, status) for port_id, name, status in rows]
