"""After any requests, a quota has counted what there is, and none is exceeded by what was added."""

import asyncio
import tempfile
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.doubles.http import Client
from tests.property.server import test_requests as requests_that_are_nearly_right

from netwright.model.resources import DEFAULT_PROJECT
from netwright.server.api.app import application
from netwright.server.api.edge import Edge
from netwright.server.auth import OpenAuthenticator
from netwright.server.core import Core
from netwright.server.metrics import Metrics
from netwright.server.store.checking import check

Request = tuple[str, str, Any]
QUOTA = f"/v2.0/quotas/{DEFAULT_PROJECT}"

limits = st.fixed_dictionaries(
    {"force": st.just(value=True)},
    optional={name: st.integers(-1, 4) for name in ("network", "subnet", "port")},
)
of_quotas = st.one_of(
    limits.map(lambda limit: ("PUT", QUOTA, {"quota": limit})),
    st.just(("DELETE", QUOTA, None)),
)
any_request = st.one_of(*[requests_that_are_nearly_right.request()] * 4, of_quotas)


@given(st.lists(any_request, min_size=1, max_size=16), st.sampled_from([{}, {"port": 3}]))
@settings(
    max_examples=80,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
def test_quotas_count_what_there_is(requests: list[Request], defaults: dict[str, int]) -> None:
    asyncio.run(_play(requests, defaults))


async def _play(requests: list[Request], defaults: dict[str, int]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        url = f"sqlite:///{directory}/netwright.db"
        core = await Core.open(url, quota_defaults=defaults)
        await core.start()
        edge = Edge(
            core,
            OpenAuthenticator(b"x"),
            Metrics(),
            body_bytes_max=1 << 20,
            quota_defaults=defaults,
        )
        client = Held(application(edge))
        try:
            await requests_that_are_nearly_right.seeded(client, requests)
            found = await check(url)
        finally:
            await core.close()
    assert found.wrong == []


class Held(Client):
    """A client that sees after each request whether more than a limit was added to."""

    async def ask(self, method: str, target: str, *args: Any, **more: Any) -> Any:
        before = await self._details()
        answer = await super().ask(method, target, *args, **more)
        after = await self._details()
        for resource, one in after.items():
            grows = one["used"] > before[resource]["used"]
            assert not grows or one["limit"] == -1 or one["used"] <= one["limit"], (target, one)
        return answer

    async def _details(self) -> dict[str, dict[str, int]]:
        answer = await super().ask("GET", f"{QUOTA}/details")
        details: dict[str, dict[str, int]] = answer.json["quota"]
        return details
