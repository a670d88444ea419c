"""A server whose callers a real keystone vouches for: clients by password, roles, revocation."""

import json
import signal
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import openstack
import pytest
from tests.doubles import keystone as double
from tests.e2e.openstack_cli import Cli
from tests.tempest.cloud import Cloud, cloud
from tests.tempest.keystone import ADMIN_PASSWORD

PASSWORD = "secret's"
TIMEOUT_S = 10.0
WAIT_S = 60.0


class Answer(NamedTuple):
    status: int
    headers: Mapping[str, str]
    body: Any


class Scene(NamedTuple):
    """`ann` is a member of `demo`, `rea` a reader of it; `nova` is a service; all by PASSWORD."""

    cloud: Cloud
    demo: str

    def token(self, user: str, password: str = PASSWORD, project: str = "demo") -> str:
        return self.cloud.keystone.token(user, password, project)

    def admin(self) -> str:
        return self.token("admin", ADMIN_PASSWORD, "admin")

    def ask(self, token: str | None, method: str, path: str, body: Any = None) -> Answer:
        headers = {"Content-Type": "application/json"} | ({"X-Auth-Token": token} if token else {})
        content = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            self.cloud.server.url + path, content, headers, method=method
        )
        try:
            with urllib.request.urlopen(request, timeout=WAIT_S) as response:
                content = response.read()
                return Answer(
                    response.status, _headers(response.headers), json.loads(content or b"null")
                )
        except urllib.error.HTTPError as error:
            return Answer(error.code, _headers(error.headers), json.loads(error.read()))


def _headers(given: Any) -> Mapping[str, str]:
    return {name.lower(): value for name, value in given.items()}


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    directory = tmp_path_factory.mktemp("keystone")
    settings = {"keystone_timeout_s": str(TIMEOUT_S), "keystone_recheck_s": "1"}
    with cloud(directory, **settings) as served:
        demo, services = (served.keystone.project(name) for name in ("demo", "services"))
        served.keystone.user("ann", PASSWORD, demo, "member")
        served.keystone.user("rea", PASSWORD, demo, "reader")
        served.keystone.user("nova", PASSWORD, services, "service")
        yield Scene(served, demo)


@contextmanager
def command_line(
    scene: Scene, user: str, password: str = PASSWORD, project: str = "demo"
) -> Iterator[Cli]:
    """`openstack` as this user in this project."""
    options = {
        "--os-auth-url": scene.cloud.keystone.url,
        "--os-username": user,
        "--os-password": password,
        "--os-project-name": project,
        "--os-user-domain-id": "default",
        "--os-project-domain-id": "default",
    }
    cli = Cli("--os-identity-api-version", "3", *(one for each in options.items() for one in each))
    yield cli
    cli.close()


@pytest.fixture(scope="module")
def ann(scene: Scene) -> Iterator[Cli]:
    with command_line(scene, "ann") as cli:
        yield cli


def test_the_double_says_what_keystone_says(scene: Scene) -> None:
    """Of tests/doubles/keystone.py."""
    keystone = scene.cloud.keystone

    def said(token: str) -> dict[str, Any]:
        path = "/auth/tokens?nocatalog"
        body = keystone.ask("GET", path, headers={"X-Subject-Token": token})
        return dict(body["token"])

    scopes: dict[str, tuple[str, dict[str, Any]]] = {
        "project": (scene.admin(), double.IN_PROJECT),
        "system": (
            keystone.token("admin", ADMIN_PASSWORD, scope={"system": {"all": True}}),
            double.IN_SYSTEM,
        ),
        "none": (keystone.token("admin", ADMIN_PASSWORD, scope="unscoped"), {}),
    }
    for name, (token, scope) in scopes.items():
        roles = () if name == "none" else ("admin",)
        assert shape(said(token)) == shape(double.token(*roles, scope=scope)), name
    for headers, expected in (
        ({"X-Subject-Token": "none"}, double.UNKNOWN),
        ({"X-Subject-Token": "none", "X-Auth-Token": "none"}, double.REFUSED),
    ):
        with pytest.raises(urllib.error.HTTPError) as raised:
            keystone.ask("GET", "/auth/tokens?nocatalog", headers=headers)
        assert json.loads(raised.value.read()) == expected
        assert raised.value.code == expected["error"]["code"]


def shape(value: Any) -> Any:
    """What is left of a value without what differs from token to token."""
    match value:
        case dict():
            return {key: shape(inner) for key, inner in sorted(value.items())}
        case list():
            return [shape(value[0])] if value else []
        case str() if value.endswith("Z"):
            return "a time"
        case str():
            return "a text"
        case _:
            return value


def test_the_command_line_by_password(scene: Scene, ann: Cli) -> None:
    made = ann("network create blue")
    assert made["project_id"] == scene.demo
    ann("subnet create s --network blue --subnet-range 10.1.0.0/24")
    assert ann("port create p --network blue")["project_id"] == scene.demo
    assert [row["Name"] for row in ann("network list")] == ["blue"]
    assert "disallowed by policy" in ann.refused("network create red --share")
    ann("port delete p")
    ann("network delete blue")


@pytest.mark.filterwarnings("ignore")  # the SDK's own deprecations
def test_the_sdk_by_password(scene: Scene) -> None:
    network = openstack.connection.Connection(
        auth={
            "auth_url": scene.cloud.keystone.url,
            "username": "ann",
            "password": PASSWORD,
            "project_name": "demo",
            "user_domain_id": "default",
            "project_domain_id": "default",
        }
    ).network
    made = network.create_network(name="sdk")
    assert made.project_id == scene.demo
    assert [each.name for each in network.networks(name="sdk")] == ["sdk"]
    network.delete_network(made)


def test_roles(scene: Scene) -> None:
    network = {"network": {"name": "n"}}
    made = scene.ask(scene.token("ann"), "POST", "/v2.0/networks", network)
    assert made.status == 201, made.body
    reader, path = scene.token("rea"), f"/v2.0/networks/{made.body['network']['id']}"
    assert scene.ask(reader, "GET", path).status == 200
    refused = scene.ask(reader, "DELETE", path)
    assert refused.status == 403
    assert refused.body["NeutronError"]["message"] == "rule:delete_network is disallowed by policy"
    service = scene.token("nova", project="services")
    assert scene.ask(service, "GET", path).body["network"]["project_id"] == scene.demo
    assert scene.ask(service, "DELETE", path).status == 403
    shown = scene.ask(scene.admin(), "GET", path).body["network"]
    assert shown["provider:physical_network"] == "physnet1"
    assert scene.ask(scene.admin(), "DELETE", path).status == 204


def test_scopes(scene: Scene) -> None:
    keystone = scene.cloud.keystone
    system = keystone.token("admin", ADMIN_PASSWORD, scope={"system": {"all": True}})
    assert scene.ask(system, "GET", "/v1/hosts").status == 200
    assert scene.ask(system, "GET", "/v2.0/networks").status == 403
    unscoped = keystone.token("ann", PASSWORD, scope="unscoped")
    assert scene.ask(unscoped, "GET", "/v2.0/networks").status == 403
    assert scene.ask(scene.token("ann"), "GET", "/v1/hosts").status == 403


@pytest.mark.filterwarnings("ignore")  # the SDK's own deprecations
def test_a_network_is_shared_with_one_project(scene: Scene, ann: Cli) -> None:
    """Bob's project has ports in ann's network, eve's does not see it."""
    keystone = scene.cloud.keystone
    projects = {name: keystone.project(name) for name in ("friends", "others")}
    keystone.user("bob", PASSWORD, projects["friends"], "member")
    keystone.user("eve", PASSWORD, projects["others"], "member")
    ann("network create common")
    ann("subnet create common-s --network common --subnet-range 10.70.0.0/24")
    rule = "network rbac create --action access_as_shared --type network common --target-project"
    policy = ann(f"{rule} {projects['friends']}")
    assert policy["object_type"] == "network"
    with (
        command_line(scene, "bob", project="friends") as bob,
        command_line(scene, "eve", project="others") as eve,
    ):
        assert [one["Name"] for one in bob("network list")] == ["common"]
        port = bob("port create bobs --network common")
        assert port["fixed_ips"][0]["ip_address"].startswith("10.70.0.")
        assert "disallowed by policy" in bob.refused("network set common --name mine")
        assert eve("network list") == []
        assert "common" in eve.refused("port create eves --network common")
        assert [one["ID"] for one in ann("network rbac list --type network")] == [policy["id"]]
        assert bob("network rbac list") == []
        other = f"network rbac set {policy['id']} --target-project {projects['others']}"
        assert "other objects depend on" in ann.refused(other)
        bob("port delete bobs")
        ann(other)
        assert bob("network list") == []
        eve("port create eves --network common")
        assert "other objects depend on" in ann.refused(f"network rbac delete {policy['id']}")
        eve("port delete eves")
    ann(f"network rbac delete {policy['id']}")
    ann("network delete common")


@pytest.mark.filterwarnings("ignore")  # the SDK's own deprecations
def test_address_groups_and_rules_of_new_groups(scene: Scene, ann: Cli) -> None:
    ann("address group create offices --address 192.0.2.0/28")
    ann("address group set offices --address 192.0.2.16/28 --name near")
    ann("address group unset near --address 192.0.2.0/28")
    assert ann("address group show near")["addresses"] == ["192.0.2.16/28"]
    rule = "default security group rule create --protocol tcp --dst-port 22 --for-custom-sg"
    assert "disallowed by policy" in ann.refused(rule)
    with command_line(scene, "admin", ADMIN_PASSWORD, "admin") as admin:
        made = admin(f"{rule} --ingress --remote-ip 10.0.0.0/8")
        listed = ann("default security group rule list")
        assert made["id"] in {one["ID"] for one in listed}
        ann("security group create fresh")
        rules = ann("security group rule list fresh --ingress --protocol tcp")
        assert [one["IP Range"] for one in rules] == ["10.0.0.0/8"]
        admin(f"default security group rule delete {made['id']}")
    named = ann("security group rule create fresh --protocol udp --remote-address-group near")
    assert "in use on one or more" in ann.refused("address group delete near")
    ann(f"security group rule delete {named['id']}")
    ann("security group delete fresh")
    ann("address group delete near")


def test_nobody_is_told_where_tokens_are_had(scene: Scene) -> None:
    for token in (None, "unknown"):
        answer = scene.ask(token, "GET", "/v2.0/networks")
        assert answer.status == 401
        expected = f'Keystone uri="{scene.cloud.keystone.url}"'
        assert answer.headers["www-authenticate"] == expected


def test_a_revoked_token_is_noticed(scene: Scene) -> None:
    token = scene.token("ann")
    assert scene.ask(token, "GET", "/v2.0/networks").status == 200
    scene.cloud.keystone.revoke(token)
    deadline = time.monotonic() + WAIT_S
    while scene.ask(token, "GET", "/v2.0/networks").status != 401:
        assert time.monotonic() < deadline, "the revoked token is still accepted"
        time.sleep(0.1)


def test_without_keystone_known_tokens_go_on(scene: Scene) -> None:
    known, other = scene.token("ann"), scene.token("rea")
    assert scene.ask(known, "GET", "/v2.0/networks").status == 200
    scene.cloud.keystone.process.send_signal(signal.SIGSTOP)
    try:
        refused = scene.ask(other, "GET", "/v2.0/networks")
        assert refused.status == 503
        assert "gave no answer within 10 s" in refused.body["NeutronError"]["message"]
        assert refused.body["NeutronError"]["detail"]
        assert refused.headers["retry-after"]
        assert scene.ask(known, "GET", "/v2.0/networks").status == 200
        own = scene.cloud.server.admin_token
        assert scene.ask(own, "GET", "/v1/hosts").status == 200
    finally:
        scene.cloud.keystone.process.send_signal(signal.SIGCONT)
    assert scene.ask(other, "GET", "/v2.0/networks").status == 200
    assert "keystone is away" in scene.cloud.server.log
    assert "keystone is back" in scene.cloud.server.log
