"""Members as they come and go are the same as all of them at once."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netwright.agent.members import BUCKETS, Members, address_key, bucket_of
from netwright.model.security import GroupMember

addresses = st.sampled_from(
    ["10.0.0.1", "10.0.0.2", "10.0.0.0/24", "10.2.0.1", "2001:db8::1", "2001:db8::/64", "nonsense"]
)
members = st.builds(
    GroupMember,
    group_id=st.sampled_from(["red", "blue"]),
    port_id=st.sampled_from(["p1", "p2", "p3"]),
    addresses=st.lists(addresses, max_size=3).map(tuple),
)


@given(st.lists(st.tuples(members, st.booleans()), max_size=20))
def test_history_leaves_nothing_behind(steps: list[tuple[GroupMember, bool]]) -> None:
    one_by_one = Members()
    now: dict[str, GroupMember] = {}
    for member, joins in steps:
        member_id = f"{member.port_id}@{member.group_id}"
        one_by_one.change({member_id: member if joins else None})
        now.pop(member_id, None)
        if joins:
            now[member_id] = member
    at_once = Members()
    at_once.change(dict(now))
    assert one_by_one.memberships == at_once.memberships
    expected: dict[bytes, list[str]] = {}
    for member in now.values():
        for address in member.addresses:
            if address != "nonsense":
                expected.setdefault(address_key(address), []).append(member.group_id)
    found = {key: groups for bucket in at_once.memberships for key, groups in bucket.items()}
    assert found == {key: tuple(sorted(groups)) for key, groups in expected.items()}


def test_one_that_joins_touches_its_bucket_alone() -> None:
    members = Members()
    crowd = [f"10.{n // 250}.{n % 250}.7" for n in range(2000)]
    members.change({a: GroupMember(group_id="g", port_id=a, addresses=(a,)) for a in crowd})
    before = members.memberships
    members.change({"x": GroupMember(group_id="g", port_id="x", addresses=("10.9.9.9",))})
    touched = [n for n in range(BUCKETS) if members.memberships[n] is not before[n]]
    assert touched == [bucket_of(address_key("10.9.9.9"))]
    assert max(map(len, members.memberships)) < 40, "they are spread"


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("10.0.0.1", "0a00000120"),
        ("10.0.0.9/24", "0a00000018"),
        ("::/0", "00" * 17),
        ("2001:db8::1", "20010db8" + "00" * 11 + "01" + "80"),
    ],
)
def test_keys(text: str, key: str) -> None:
    assert address_key(text).hex() == key
